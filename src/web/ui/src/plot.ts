// What the line graph and the heatmap share: axes, and the ways to move in time. A drag selects what to zoom into, with
// Shift it pans; Ctrl and the wheel zoom, a double click zooms out; arrows, + and - do the same by key.
import type uPlot from 'uplot';
import type { Labels, Series } from './api';
import { clock, seriesText } from './format';

export type Plotter = typeof uPlot;
export interface PlotProps {
  plotter: Plotter; series: Series[]; start: number; end: number; step: number;
  onZoom: (from: number, to: number) => void;
}

// Colours of the page, looked up once until the page changes its look.
const looks = new Map<string, string>();
export function css(name: string): string {
  let value = looks.get(name);
  if (value === undefined) looks.set(name, value = getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return value;
}
const two = (n: number) => String(n).padStart(2, '0');

// What all series have in common is said once; what is left tells them apart.
export function shared(series: Series[]): Labels {
  const all: Labels = {};
  if (series.length > 1)
    for (const [k, v] of Object.entries(series[0].metric)) if (series.every((s) => s.metric[k] === v)) all[k] = v;
  return all;
}
export const without = (m: Labels, common: Labels) =>
  seriesText(Object.fromEntries(Object.entries(m).filter(([k]) => !(k in common))));

export function timeTicks(_: uPlot, splits: number[], _axis: number, _space: number, incr: number): string[] {
  let day = 0;
  return splits.map((t) => {
    const c = clock(t * 1000), date = `${two(c.mo)}-${two(c.d)}`;
    if (incr >= 86400) return date;
    const text = `${two(c.h)}:${two(c.mi)}${incr < 60 ? `:${two(c.s)}` : ''}`;
    const turned = day !== 0 && day !== c.d;
    day = c.d;
    return turned ? `${text}\n${date}` : text;
  });
}

export function valueTicks(_: uPlot, splits: number[]): string[] {
  const max = Math.max(...splits.map(Math.abs)), incr = splits.length > 1 ? Math.abs(splits[1] - splits[0]) : 1;
  const [unit, size] = ([['P', 1e15], ['T', 1e12], ['G', 1e9], ['M', 1e6], ['k', 1e3]] as const).find((u) => max >= u[1]) ?? ['', 1];
  if (max > 0 && max < 1e-4) return splits.map((v) => (v === 0 ? '0' : v.toExponential(1)));
  let digits = 0;
  while (digits < 8 && splits.some((v) => Math.abs(Number((v / size).toFixed(digits)) * size - v) > incr * 1e-3)) digits++;
  return splits.map((v) => (v === 0 ? '0' : `${(v / size).toFixed(digits)}${unit}`));
}

export const axis = (over: uPlot.Axis): uPlot.Axis => ({ stroke: () => css('--dim'), font: `11px ${css('--sans')}`,
  grid: { stroke: () => css('--grid'), width: 1 }, ticks: { stroke: () => css('--grid'), width: 1, size: 4 }, ...over });

export const heightFor = (width: number) => Math.max(240, Math.min(420, Math.round(width * 0.38)));

// The part of time that is shown, moved by hand before the new answer is there.
export class Window {
  from: number; to: number;
  private later = 0;
  constructor(private readonly p: PlotProps) { this.from = p.start; this.to = p.end; }
  done(from = this.from, to = this.to) {
    window.clearTimeout(this.later);
    this.p.onZoom(from, to);
  }
  zoom(by: number, at = (this.from + this.to) / 2) { this.done(at - (at - this.from) * by, at + (this.to - at) * by); }
  pan(share: number) { const d = (this.to - this.from) * share; this.done(this.from + d, this.to + d); }

  show(u: uPlot, from: number, to: number) {
    this.from = from;
    this.to = to;
    u.setScale('x', { min: from, max: to });
  }
  private drag(u: uPlot, e: MouseEvent) {
    const { from, to } = this, perPixel = (to - from) / u.over.clientWidth;
    const move = (m: MouseEvent) => this.show(u, from - (m.clientX - e.clientX) * perPixel, to - (m.clientX - e.clientX) * perPixel);
    const up = () => {
      document.removeEventListener('mousemove', move);
      if (this.from !== from) this.done();
    };
    document.addEventListener('mousemove', move);
    document.addEventListener('mouseup', up, { once: true });
    e.preventDefault();
  }
  private wheel(u: uPlot, e: WheelEvent) {
    if (!e.ctrlKey && !e.metaKey) return;
    e.preventDefault();
    const at = u.posToVal(e.clientX - u.over.getBoundingClientRect().left, 'x'), by = e.deltaY > 0 ? 1.25 : 0.8;
    this.show(u, at - (at - this.from) * by, at + (this.to - at) * by);
    window.clearTimeout(this.later);
    this.later = window.setTimeout(() => this.done(), 250);
  }
  key(e: KeyboardEvent) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === 'ArrowLeft') this.pan(-0.25);
    else if (e.key === 'ArrowRight') this.pan(0.25);
    else if (e.key === '+' || e.key === '=') this.zoom(0.5);
    else if (e.key === '-') this.zoom(2);
    else return;
    e.preventDefault();
    e.stopPropagation();
  }
  options(): Partial<uPlot.Options> {
    return {
      cursor: { points: { show: false }, drag: { x: true, y: false, setScale: false }, bind: {
        mousedown: (u, _t, handler) => (e) => { if (e.shiftKey || e.button === 1) this.drag(u, e); else handler(e); return null; },
        dblclick: () => () => { this.zoom(2); return null; },
      } },
      hooks: {
        init: [(u) => u.over.addEventListener('wheel', (e) => this.wheel(u, e), { passive: false })],
        setSelect: [(u) => {
          if (u.select.width > 4) this.done(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x'));
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
      },
    };
  }
}

// Follows the width of its box and the colours of the page until it is told to end.
export function follow(make: () => uPlot, box: HTMLElement): () => void {
  looks.clear();
  const u = make();
  const size = new ResizeObserver(() => {
    const w = box.clientWidth;
    if (w && w !== u.width) u.setSize({ width: w, height: u.height });
  });
  size.observe(box);
  const redraw = () => { looks.clear(); u.redraw(false, true); };
  const theme = new MutationObserver(redraw), media = matchMedia('(prefers-color-scheme: dark)');
  theme.observe(document.documentElement, { attributes: true });
  media.addEventListener('change', redraw);
  return () => { size.disconnect(); theme.disconnect(); media.removeEventListener('change', redraw); u.destroy(); };
}

// The box beside the pointer, kept inside the plot.
export function placeTip(tip: HTMLElement, u: uPlot, x: number, y: number) {
  const w = tip.offsetWidth, h = tip.offsetHeight, room = u.over.clientWidth;
  const left = x + 14 + w > room ? Math.max(0, x - w - 14) : x + 14;
  tip.style.transform = `translate(${left}px, ${Math.max(0, Math.min(y - h / 2, u.over.clientHeight - h))}px)`;
}
