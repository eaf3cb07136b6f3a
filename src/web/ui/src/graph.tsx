// The graph of a range query as lines: uPlot draws, and is loaded when needed; the legend and the table beside the
// pointer are ours.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type uPlot from 'uplot';
import type { Series } from './api';
import { seriesText, short, timeText } from './format';
import { Many } from './parts';
import { type PlotProps, Window, axis, css, follow, heightFor, placeTip, shared, timeTicks, valueTicks, without } from './plot';

export interface GraphProps extends PlotProps { stacked: boolean }

const colours = 10;
const dashes = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
type Column = Float64Array | (number | null)[];

// A native histogram in a line graph counts by its number of observations.
const pointsOf = (s: Series): [number, string][] => s.values
  ?? (s.histograms as [number, { count: string }][] | undefined)?.map(([t, h]) => [t, h.count]) ?? [];

// A million points: plain loops, and arrays of bare numbers where a series has no gap.
function columnOf(s: Series, n: number, start: number, step: number): Column {
  const points = pointsOf(s), y = new Float64Array(n).fill(NaN);
  let known = 0;
  for (let j = 0; j < points.length; j++) {
    const p = points[j], i = Math.round((p[0] - start) / step), v = +p[1];
    if (i >= 0 && i < n && Number.isFinite(v)) {
      y[i] = v;
      known++;
    }
  }
  if (known === n) return y;
  const gaps = new Array<number | null>(n);
  for (let i = 0; i < n; i++) gaps[i] = Number.isNaN(y[i]) ? null : y[i];
  return gaps;
}

function columnsOf({ series, start, end, step }: PlotProps): { x: number[]; ys: Column[] } {
  performance.mark('graph begins');
  const n = Math.floor((end - start) / step + 1e-6) + 1;
  return { x: Array.from({ length: n }, (_, i) => start + i * step), ys: series.map((s) => columnOf(s, n, start, step)) };
}

function stack(ys: Column[], shown: boolean[]): Column[] {
  const sum = new Float64Array(ys[0]?.length ?? 0);
  return ys.map((y, k) => {
    if (!shown[k]) return y;
    for (let i = 0; i < sum.length; i++) sum[i] += y[i] ?? 0;
    return sum.slice();
  });
}

const tipRows = 8;

// Beside the pointer: the time and the values there, those nearest to it, the nearest marked.
function pointerPlugin(names: string[], raw: Column[], onNearest: (k: number) => void): uPlot.Plugin {
  const tip = document.createElement('div'), dot = document.createElement('div');
  tip.className = 'tip';
  dot.className = 'tip-dot';
  const hide = () => { tip.hidden = dot.hidden = true; onNearest(-1); };
  const line = (k: number, value: number, near: boolean) => {
    const row = document.createElement('div'), mark = document.createElement('span'), name = document.createElement('span');
    const number = document.createElement('span');
    row.className = near ? 'tip-row near' : 'tip-row';
    mark.className = `swatch s${k % colours}`;
    name.textContent = names[k];
    number.textContent = String(value);
    number.className = 'num';
    row.append(mark, name, number);
    return row;
  };
  return { hooks: {
    init: (u) => { u.over.append(dot, tip); hide(); },
    setCursor: (u) => {
      const { idx, top, left } = u.cursor;
      if (idx == null || top == null || left == null || left < 0) return hide();
      const all: { k: number; y: number; far: number }[] = [];
      for (let k = 1; k < u.data.length; k++) {
        const v = u.data[k][idx];
        if (!u.series[k].show || v == null || raw[k - 1][idx] === null) continue;
        const y = u.valToPos(v, 'y');
        all.push({ k: k - 1, y, far: Math.abs(y - top) });
      }
      if (!all.length) return hide();
      all.sort((a, b) => a.far - b.far);
      const best = all[0], x = u.valToPos(u.data[0][idx], 'x');
      const time = document.createElement('div');
      time.textContent = timeText(u.data[0][idx] * 1000);
      time.className = 'tip-time';
      const rows = all.slice(0, tipRows).sort((a, b) => a.y - b.y).map((s) => line(s.k, raw[s.k][idx]!, s === best));
      tip.replaceChildren(time, ...rows);
      if (all.length > tipRows) {
        const more = document.createElement('div');
        more.className = 'tip-time';
        more.textContent = `and ${all.length - tipRows} more`;
        tip.append(more);
      }
      tip.hidden = dot.hidden = false;
      dot.style.transform = `translate(${x - 4}px, ${best.y - 4}px)`;
      dot.style.background = css(`--s${best.k % colours}`);
      placeTip(tip, u, x, best.y);
      onNearest(best.k);
    },
  } };
}

function optionsOf(p: GraphProps, names: string[], raw: Column[], width: number, view: Window, onNearest: (k: number) => void): uPlot.Options {
  const one = p.series.length === 1;
  const lonely = raw.map((y) => {
    if (y instanceof Float64Array) return y.length < 3;
    let n = 0;
    for (let i = 0; i < y.length && n < 3; i++) if (y[i] !== null) n++;
    return n < 3;
  });
  const ink = Array.from({ length: colours }, (_, k) => () => css(`--s${k}`));
  return {
    width, height: heightFor(width), legend: { show: false }, ...view.options(),
    scales: { x: { time: true, range: () => [view.from, view.to] }, y: { range: (_u, min, max) => {
      if (min == null || max == null) return [0, 1];
      if (min === max) return min === 0 ? [0, 1] : [Math.min(0, min * 1.2), Math.max(0, max * 1.2)];
      const pad = (max - min) * 0.06, low = min >= 0 && (p.stacked || min < (max - min) * 0.5) ? 0 : min - pad;
      return [low, max + pad];
    } } },
    axes: [axis({ values: timeTicks, space: 70, size: 34 }), axis({ values: valueTicks, size: 56, gap: 4 })],
    series: [{}, ...names.map((_, k): uPlot.Series => ({
      stroke: ink[k % colours], width: names.length > 200 ? 1 : 1.5, dash: names.length <= colours * dashes.length ? dashes[Math.floor(k / colours)] : undefined,
      fill: p.stacked || one ? () => `color-mix(in srgb, ${css(`--s${k % colours}`)} ${p.stacked ? 45 : 12}%, transparent)` : undefined,
      points: { show: (_u, _k, from, to) => to - from < 3 || lonely[k], size: 5 }, spanGaps: false }))],
    bands: p.stacked ? names.slice(1).map((_, k) => ({ series: [k + 2, k + 1] as [number, number] })) : undefined,
    plugins: [pointerPlugin(names, raw, onNearest)],
  };
}

export function Graph(p: GraphProps) {
  const box = useRef<HTMLDivElement>(null);
  const legend = useRef<HTMLDivElement>(null);
  const view = useRef<Window | undefined>(undefined);
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
    view.current = new Window(p);
    const data = [x, ...(p.stacked ? stack(ys, shown) : ys)] as uPlot.AlignedData;
    const options = optionsOf(p, names, ys, box.current!.clientWidth, view.current, near);
    options.series.forEach((s, k) => { if (k) s.show = shown[k - 1]; });
    const end = follow(() => new p.plotter(options, data, box.current!), box.current!);
    requestAnimationFrame(() => requestAnimationFrame(() => performance.measure('graph', 'graph begins'))); // once it is seen
    return end;
  }, [x, ys, p.stacked, hidden]);

  // A click shows one series alone, or all again; with Ctrl or Shift it hides or shows that one.
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
    <div class="plot" ref={box} role="img" tabIndex={0} onKeyDown={(e) => view.current?.key(e)}
      aria-label={`Graph of ${names.length} series; the table shows the same as text. Arrows move it in time, plus and minus zoom.`} />
    {Object.keys(common).length > 0 && <p class="common"><span class="dim">All have </span>
      <span class="series">{seriesText(common)}</span></p>}
    <div class="legend" ref={legend} role="group" aria-label="Series">
      <Many items={names} rowHeight={26} row={(n, k) => {
        const v = last(k);
        return <button type="button" key={k} data-k={k} aria-pressed={shown[k]} title="Click: this alone. Ctrl click: hide or show"
          onClick={(e) => pick(n, e.ctrlKey || e.metaKey || e.shiftKey)}><span class={`swatch s${k % colours}`} />
          <span class="series">{n}</span><span class="num">{v === null ? '' : short(v)}</span></button>;
      }} />
    </div>
  </div>;
}
