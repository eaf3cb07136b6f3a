// The last day of an alert's expression as a line of a few pixels. The alert `x > 5` has samples only while it holds;
// what tells its story is x, with 5 as a line. So a comparison with a number at the top is taken apart here.
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Labels, type Point, type QueryData, type Series, ask } from './api';
import { short } from './format';

const width = 120, height = 22, steps = 96;

export interface Watched { expr: string; limit?: number }

// Scans past strings and brackets; null when the words at the top bind weaker than a comparison.
export function watched(query: string): Watched {
  const m = /^([^]*?)\s*(?:==|!=|>=|<=|>|<)\s*(?:bool\s+)?([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*$/.exec(query);
  if (!m) return { expr: query };
  let depth = 0, left = '';
  for (let i = 0; i < m[1].length; i++) {
    const c = m[1][i];
    if (c === '"' || c === "'" || c === '`') {
      const start = i++;
      while (i < m[1].length && m[1][i] !== c) i += m[1][i] === '\\' && c !== '`' ? 2 : 1;
      left += ' '.repeat(i - start);
    } else {
      if ('([{'.includes(c)) depth++;
      if (')]}'.includes(c)) depth--;
      left += depth === 0 && !')]}'.includes(c) ? c : ' ';
    }
  }
  if (depth !== 0 || /\b(and|or|unless)\b|[<>]|==|!=/i.test(left)) return { expr: query };
  return { expr: m[1].trim(), limit: Number(m[2]) };
}

const cache = new Map<string, { at: number; answer: Promise<Series[]> }>();
function dayOf(expr: string): Promise<Series[]> {
  const had = cache.get(expr);
  if (had && Date.now() - had.at < 300000) return had.answer;
  const step = 86400 / steps, end = Math.floor(Date.now() / 1000);
  const answer = ask<QueryData>('query_range',
    { query: expr, start: String(end - 86400), end: String(end), step: String(step), limit: '2000' })
    .then((a) => a.data.result as Series[]);
  cache.set(expr, { at: Date.now(), answer });
  return answer;
}

function find(all: Series[], labels: Labels): Series | undefined {
  let best: Series | undefined, most = -1;
  for (const s of all) {
    const keys = Object.keys(s.metric).filter((k) => k !== '__name__');
    if (keys.length > most && keys.every((k) => labels[k] === s.metric[k])) {
      best = s;
      most = keys.length;
    }
  }
  return best;
}

function path(values: Point[], min: number, max: number, end: number): string {
  const y = (v: number) => height - 2 - ((v - min) / (max - min || 1)) * (height - 4);
  let d = '', last = 0;
  for (const [t, text] of values) {
    const v = Number(text);
    if (!Number.isFinite(v)) continue;
    const x = width - 3 - Math.max(0, (end - t) / 86400) * (width - 3);
    const px = x.toFixed(1), py = y(v).toFixed(1);
    d += t - last > (86400 / steps) * 1.5 ? `M${px} ${py}h.1` : `L${px} ${py}`;
    last = t;
  }
  return d;
}

export function Spark({ query, labels, wide = false }: { query: string; labels: Labels; wide?: boolean }) {
  const box = useRef<HTMLSpanElement>(null);
  const [series, setSeries] = useState<Series | null>();
  const { expr, limit } = watched(query);
  const key = JSON.stringify(labels);
  useEffect(() => {
    let live = true;
    const o = new IntersectionObserver((e) => {
      if (!e.some((x) => x.isIntersecting)) return;
      o.disconnect();
      dayOf(expr).then((all) => live && setSeries(find(all, labels) ?? null), () => live && setSeries(null));
    });
    o.observe(box.current!);
    return () => { live = false; o.disconnect(); };
  }, [expr, key]);
  const values = series?.values ?? [];
  const numbers = values.map((p) => Number(p[1])).filter(Number.isFinite);
  let min = Math.min(...numbers), max = Math.max(...numbers);
  if (limit !== undefined) { min = Math.min(min, limit); max = Math.max(max, limit); }
  if (min === max) { min -= 1; max += 1; }
  const end = Date.now() / 1000;
  const at = limit === undefined ? 0 : height - 2 - ((limit - min) / (max - min)) * (height - 4);
  return <span class={wide ? 'spark wide' : 'spark'} ref={box}>{numbers.length > 0 &&
    <svg viewBox={`0 0 ${width} ${height}`} width={wide ? undefined : width} height={wide ? undefined : height} role="img"
      preserveAspectRatio={wide ? 'none' : undefined}
      aria-label={`Last 24 hours: from ${short(Math.min(...numbers))} to ${short(Math.max(...numbers))}`}>
      {limit !== undefined && <line x1="0" x2={width} y1={at} y2={at} class="limit" />}
      <path d={path(values, min, max, end)} class={numbers.length === 1 ? 'one' : undefined} /></svg>}</span>;
}
