// The graph of a range query: uPlot draws, and is loaded when needed; the legend and what stands beside the pointer
// are ours.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type uPlot from 'uplot';
import type { Labels, Series } from './api';
import { clock, seriesText, short, timeText } from './format';
import { Many } from './parts';

export type Plotter = typeof uPlot;
export interface GraphProps {
  plotter: Plotter;
  series: Series[]; start: number; end: number; step: number; stacked: boolean;
  onZoom: (from: number, to: number) => void;
}

const colours = 10;
const dashes = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
const css = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const two = (n: number) => String(n).padStart(2, '0');

// What all series have in common is said once, above the legend; what is left tells them apart.
function shared(series: Series[]): Labels {
  const all: Labels = {};
  if (series.length > 1)
    for (const [k, v] of Object.entries(series[0].metric)) if (series.every((s) => s.metric[k] === v)) all[k] = v;
  return all;
}
const without = (m: Labels, common: Labels) =>
  seriesText(Object.fromEntries(Object.entries(m).filter(([k]) => !(k in common))));

type Column = (number | null)[];

function columnsOf({ series, start, end, step }: GraphProps): { x: number[]; ys: Column[] } {
  const n = Math.floor((end - start) / step + 1e-6) + 1;
  const x = Array.from({ length: n }, (_, i) => start + i * step);
  const ys = series.map((s) => {
    const y: Column = new Array<number | null>(n).fill(null);
    for (const [t, v] of s.values ?? []) {
      const i = Math.round((t - start) / step), number = Number(v);
      if (i >= 0 && i < n && Number.isFinite(number)) y[i] = number;
    }
    return y;
  });
  return { x, ys };
}

function stack(ys: Column[], shown: boolean[]): Column[] {
  const sum = new Array<number>(ys[0]?.length ?? 0).fill(0);
  return ys.map((y, k) => (shown[k] ? y.map((v, i) => (sum[i] += v ?? 0)) : y));
}

function timeTicks(_: uPlot, splits: number[], _axis: number, _space: number, incr: number): string[] {
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

function valueTicks(_: uPlot, splits: number[]): string[] {
  const max = Math.max(...splits.map(Math.abs)), incr = splits.length > 1 ? Math.abs(splits[1] - splits[0]) : 1;
  const [unit, size] = ([['P', 1e15], ['T', 1e12], ['G', 1e9], ['M', 1e6], ['k', 1e3]] as const).find((u) => max >= u[1]) ?? ['', 1];
  if (max > 0 && max < 1e-4) return splits.map((v) => (v === 0 ? '0' : v.toExponential(1)));
  let digits = 0;
  while (digits < 8 && splits.some((v) => Math.abs(Number((v / size).toFixed(digits)) * size - v) > incr * 1e-3)) digits++;
  return splits.map((v) => (v === 0 ? '0' : `${(v / size).toFixed(digits)}${unit}`));
}

// Beside the pointer: the time, and the nearest series with its value.
function pointerPlugin(names: string[], raw: Column[], onNearest: (k: number) => void): uPlot.Plugin {
  const tip = document.createElement('div'), dot = document.createElement('div');
  tip.className = 'tip';
  dot.className = 'tip-dot';
  const time = document.createElement('div'), value = document.createElement('strong'), name = document.createElement('div');
  tip.append(time, value, name);
  const hide = () => { tip.hidden = dot.hidden = true; onNearest(-1); };
  return { hooks: {
    init: (u) => { u.over.append(dot, tip); hide(); },
    setCursor: (u) => {
      const { idx, top, left } = u.cursor;
      if (idx == null || top == null || left == null || left < 0) return hide();
      let best = -1, far = Infinity;
      for (let k = 1; k < u.data.length; k++) {
        const v = u.data[k][idx];
        if (!u.series[k].show || v == null || raw[k - 1][idx] === null) continue;
        const d = Math.abs(u.valToPos(v, 'y') - top);
        if (d < far) { far = d; best = k; }
      }
      if (best < 0) return hide();
      const x = u.valToPos(u.data[0][idx], 'x'), y = u.valToPos(u.data[best][idx]!, 'y');
      time.textContent = timeText(u.data[0][idx] * 1000);
      value.textContent = String(raw[best - 1][idx]);
      name.textContent = names[best - 1];
      tip.hidden = dot.hidden = false;
      dot.style.transform = `translate(${x - 4}px, ${y - 4}px)`;
      dot.style.background = css(`--s${(best - 1) % colours}`);
      const w = tip.offsetWidth, h = tip.offsetHeight, room = u.over.clientWidth;
      tip.style.transform = `translate(${x + 14 + w > room ? Math.max(0, x - w - 14) : x + 14}px, ${Math.min(Math.max(0, y - h / 2), u.over.clientHeight - h)}px)`;
      onNearest(best - 1);
    },
  } };
}

function optionsOf(p: GraphProps, names: string[], raw: Column[], width: number, onNearest: (k: number) => void): uPlot.Options {
  const axis = (over: uPlot.Axis): uPlot.Axis => ({ stroke: () => css('--dim'), font: `11px ${css('--sans')}`,
    grid: { stroke: () => css('--grid'), width: 1 }, ticks: { stroke: () => css('--grid'), width: 1, size: 4 }, ...over });
  const one = p.series.length === 1;
  return {
    width, height: Math.max(240, Math.min(420, Math.round(width * 0.38))), legend: { show: false },
    cursor: { points: { show: false }, drag: { x: true, y: false, setScale: false } },
    scales: { x: { time: true, range: () => [p.start, p.end] }, y: { range: (_u, min, max) => {
      if (min == null || max == null) return [0, 1];
      if (min === max) return min === 0 ? [0, 1] : [Math.min(0, min * 1.2), Math.max(0, max * 1.2)];
      const pad = (max - min) * 0.06, low = min >= 0 && (p.stacked || min < (max - min) * 0.5) ? 0 : min - pad;
      return [low, max + pad];
    } } },
    axes: [axis({ values: timeTicks, space: 70, size: 34 }), axis({ values: valueTicks, size: 56, gap: 4 })],
    series: [{}, ...names.map((_, k): uPlot.Series => ({
      stroke: () => css(`--s${k % colours}`), width: 1.5, dash: dashes[Math.floor(k / colours) % dashes.length],
      fill: p.stacked || one ? () => `color-mix(in srgb, ${css(`--s${k % colours}`)} ${p.stacked ? 45 : 12}%, transparent)` : undefined,
      points: { show: (_u, _k, from, to) => to - from < 3 || raw[k].filter((v) => v !== null).length < 3, size: 5 }, spanGaps: false }))],
    bands: p.stacked ? names.slice(1).map((_, k) => ({ series: [k + 2, k + 1] as [number, number] })) : undefined,
    hooks: { setSelect: [(u) => {
      if (u.select.width > 4) p.onZoom(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x'));
      u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    }] },
    plugins: [pointerPlugin(names, raw, onNearest)],
  };
}

export function Graph(p: GraphProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const legend = useRef<HTMLDivElement>(null);
  const common = useMemo(() => shared(p.series), [p.series]);
  const names = useMemo(() => p.series.map((s) => without(s.metric, common)), [p.series]);
  const [hidden, setHidden] = useState<Set<string>>(new Set());
  const { x, ys } = useMemo(() => columnsOf(p), [p.series, p.start, p.end, p.step]);
  const shown = names.map((n) => !hidden.has(n));

  useEffect(() => {
    const near = (k: number) => {
      legend.current?.querySelector('.near')?.classList.remove('near');
      legend.current?.querySelector(`[data-k="${k}"]`)?.classList.add('near');
    };
    const data = [x, ...(p.stacked ? stack(ys, shown) : ys)] as uPlot.AlignedData;
    const u = plot.current = new p.plotter(optionsOf(p, names, ys, box.current!.clientWidth, near), data, box.current!);
    shown.forEach((s, k) => { if (!s) u.setSeries(k + 1, { show: false }); });
    const size = new ResizeObserver(() => {
      const w = box.current!.clientWidth;
      if (w && w !== u.width) u.setSize({ width: w, height: u.height });
    });
    size.observe(box.current!);
    const redraw = () => u.redraw(false, true);
    const theme = new MutationObserver(redraw), media = matchMedia('(prefers-color-scheme: dark)');
    theme.observe(document.documentElement, { attributes: true });
    media.addEventListener('change', redraw);
    return () => { size.disconnect(); theme.disconnect(); media.removeEventListener('change', redraw); u.destroy(); };
  }, [x, ys, p.stacked, hidden]);

  // A click shows one series alone, or all again; with Ctrl it hides or shows that one.
  const pick = (name: string, many: boolean) => {
    const next = new Set(hidden);
    if (many) {
      if (!next.delete(name)) next.add(name);
    } else if (!hidden.has(name) && hidden.size === names.length - 1) next.clear();
    else {
      names.forEach((n) => next.add(n));
      next.delete(name);
    }
    setHidden(next.size === names.length ? new Set() : next);
  };
  const last = (k: number) => { for (let i = ys[k].length - 1; i >= 0; i--) if (ys[k][i] !== null) return ys[k][i]; return null; };
  return <div class="graph">
    <div class="plot" ref={box} role="img" aria-label={`Graph of ${names.length} series; the table shows the same as text`} />
    {Object.keys(common).length > 0 && <p class="common"><span class="dim">All have </span>
      <span class="series">{seriesText(common)}</span></p>}
    <div class="legend" ref={legend} role="group" aria-label="Series">
      <Many items={names} step={100} row={(n, k) => {
        const v = last(k);
        return <button type="button" key={k} data-k={k} aria-pressed={shown[k]} title="Click: this alone. Ctrl click: hide or show"
          onClick={(e) => pick(n, e.ctrlKey || e.metaKey)}><span class={`swatch s${k % colours}`} />
          <span class="series">{n}</span><span class="num">{v === null ? '' : short(v)}</span></button>;
      }} />
    </div>
  </div>;
}
