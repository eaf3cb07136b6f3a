// A histogram over time: a column for each step, a row for each bucket, the darker the more observations. Buckets are
// classic series with le, whose counts hold those of the buckets below, or native histograms; several are added up.
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type uPlot from 'uplot';
import type { Series } from './api';
import { plural, short, timeText } from './format';
import { type PlotProps, Window, axis, css, follow, heightFor, placeTip, timeTicks } from './plot';

interface Cell { column: number; low: number; high: number; n: number } // low, high: places among the bounds
export interface Cells { bounds: number[]; cells: Cell[]; max: number; histograms: number }

type Native = [number, { buckets?: [number, string, string, string][] }];

export const isHistogram = (series: Series[]) => series.length > 0
  && series.every((s) => s.metric.le !== undefined || (s.histograms && !s.values?.length));

const bound = (s: string) => (s === '+Inf' || s === 'Inf' ? Infinity : s === '-Inf' ? -Infinity : Number(s));

// column -> "low high" -> observations
function gather(p: PlotProps): { sums: Map<number, Map<string, [number, number, number]>>; histograms: number } {
  const sums = new Map<number, Map<string, [number, number, number]>>();
  const add = (t: number, low: number, high: number, n: number) => {
    const column = Math.round((t - p.start) / p.step), key = `${low} ${high}`;
    let at = sums.get(column);
    if (!at) sums.set(column, at = new Map());
    const had = at.get(key);
    if (had) had[2] += n;
    else at.set(key, [low, high, n]);
  };
  const groups = new Map<string, Series[]>();
  let histograms = 0;
  for (const s of p.series) {
    if (s.histograms) {
      histograms++;
      for (const [t, h] of s.histograms as Native[])
        for (const [, low, high, n] of h.buckets ?? []) add(t, bound(low), bound(high), Number(n));
    } else {
      const { le: _le, ...rest } = s.metric, key = JSON.stringify(Object.entries(rest).sort());
      const g = groups.get(key);
      if (g) g.push(s);
      else groups.set(key, [s]);
    }
  }
  for (const g of groups.values()) {
    g.sort((a, b) => bound(a.metric.le) - bound(b.metric.le));
    const below = new Map<number, number>();
    g.forEach((s, i) => {
      const low = i ? bound(g[i - 1].metric.le) : -Infinity, high = bound(s.metric.le);
      for (const [t, v] of s.values ?? []) {
        const n = Number(v);
        add(t, low, high, Math.max(0, n - (below.get(t) ?? 0)));
        below.set(t, n);
      }
    });
  }
  return { sums, histograms: histograms + groups.size };
}

export function cellsOf(p: PlotProps): Cells {
  const { sums, histograms } = gather(p);
  const all = new Set<number>(), cells: Cell[] = [];
  for (const at of sums.values()) for (const [low, high] of at.values()) { all.add(low); all.add(high); }
  const bounds = [...all].sort((a, b) => a - b), place = new Map(bounds.map((b, i) => [b, i]));
  let max = 0;
  for (const [column, at] of sums)
    for (const [low, high, n] of at.values())
      if (n > 0) {
        cells.push({ column, low: place.get(low)!, high: place.get(high)!, n });
        max = Math.max(max, n);
      }
  return { bounds, cells, max, histograms };
}

const boundText = (b: number) => (b === Infinity ? '+Inf' : b === -Infinity ? '-Inf' : short(b));

function draw(u: uPlot, p: PlotProps, c: Cells) {
  const ctx = u.ctx;
  ctx.save();
  ctx.beginPath();
  ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
  ctx.clip();
  ctx.fillStyle = css('--heat');
  for (const cell of c.cells) {
    const t = p.start + cell.column * p.step;
    const x0 = Math.round(u.valToPos(t - p.step / 2, 'x', true)), x1 = Math.round(u.valToPos(t + p.step / 2, 'x', true));
    const y0 = Math.round(u.valToPos(cell.high, 'y', true)), y1 = Math.round(u.valToPos(cell.low, 'y', true));
    ctx.globalAlpha = 0.07 + 0.93 * Math.sqrt(cell.n / c.max);
    ctx.fillRect(x0, y0, Math.max(1, x1 - x0), Math.max(1, y1 - y0));
  }
  ctx.restore();
}

function hoverPlugin(p: PlotProps, c: Cells): uPlot.Plugin {
  const tip = document.createElement('div'), time = document.createElement('div'), value = document.createElement('strong');
  const range = document.createElement('div');
  tip.className = 'tip';
  time.className = 'tip-time';
  tip.append(time, value, range);
  const columns = new Map<number, Cell[]>();
  for (const cell of c.cells) {
    const had = columns.get(cell.column);
    if (had) had.push(cell);
    else columns.set(cell.column, [cell]);
  }
  return { hooks: {
    init: (u) => { u.over.append(tip); tip.hidden = true; },
    setCursor: (u) => {
      const { top, left } = u.cursor;
      tip.hidden = true;
      if (top == null || left == null || left < 0) return;
      const column = Math.round((u.posToVal(left, 'x') - p.start) / p.step), y = u.posToVal(top, 'y');
      const cell = columns.get(column)?.find((k) => y >= k.low && y < k.high);
      if (!cell) return;
      time.textContent = timeText((p.start + column * p.step) * 1000);
      value.textContent = short(cell.n);
      const low = c.bounds[cell.low], high = boundText(c.bounds[cell.high]);
      range.textContent = low === -Infinity ? `up to ${high}` : `from ${boundText(low)} to ${high}`;
      tip.hidden = false;
      placeTip(tip, u, left, top);
    },
  } };
}

export function Heatmap(p: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<Window | undefined>(undefined);
  const cells = useMemo(() => cellsOf(p), [p.series, p.start, p.end, p.step]);
  useEffect(() => {
    const w = view.current = new Window(p), width = box.current!.clientWidth, top = Math.max(1, cells.bounds.length - 1);
    const base = w.options();
    return follow(() => new p.plotter({
      width, height: heightFor(width), legend: { show: false }, ...base,
      scales: { x: { time: true, range: () => [w.from, w.to] }, y: { range: () => [0, top] } },
      axes: [axis({ values: timeTicks, space: 70, size: 34, grid: { show: false } }), axis({ size: 64, gap: 4, grid: { show: false },
        splits: () => { const by = Math.ceil((top + 1) / 14); return cells.bounds.map((_, i) => i).filter((i) => i % by === 0 || i === top); },
        values: (_u, splits) => splits.map((i) => (cells.bounds[i] === -Infinity ? '' : boundText(cells.bounds[i] ?? 0))) })],
      series: [{}, { stroke: 'transparent', points: { show: false } }],
      hooks: { ...base.hooks, draw: [(u) => draw(u, p, cells)] }, plugins: [hoverPlugin(p, cells)],
    }, [[p.start, p.end], [null, null]], box.current!), box.current!);
  }, [cells]);
  return <div class="graph">
    <div class="plot" ref={box} role="img" tabIndex={0} onKeyDown={(e) => view.current?.key(e)}
      aria-label={`Heatmap of ${cells.bounds.length} bucket bounds; the table shows the same as text. Arrows move it in time, plus and minus zoom.`} />
    <p class="common"><span class="heat-scale" aria-hidden="true" /> <span class="dim">0 to {short(cells.max)} in a bucket and step
      {cells.histograms > 1 ? `, ${plural(cells.histograms, 'histogram')} added up` : ''}</span></p>
  </div>;
}
