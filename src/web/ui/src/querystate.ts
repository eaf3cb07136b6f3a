// The queries of the Explore page as its address: Prometheus' parameters, old (g0.tab=0) and new (g0.tab=graph).
import { durationText, parseDuration, parseTime, timeText } from './format';

export type Tab = 'table' | 'graph' | 'explain';
export type Mode = 'lines' | 'stacked' | 'heatmap';
export interface Panel {
  id: number; expr: string; tab: Tab;
  range: number; // seconds
  end: number; // ms, 0 = now; of a table: its moment
  step: number; // seconds, 0 = chosen by the range
  mode: Mode | ''; // '' = what fits the result
}

let ids = 0;
export const newPanel = (over: Partial<Panel> = {}): Panel =>
  ({ id: ids++, expr: '', tab: 'table', range: 3600, end: 0, step: 0, mode: '', ...over });

function readPanel(p: Map<string, string>): Panel {
  const asked = p.get('tab'), shape = p.get('display_mode');
  const tab = asked === '0' || asked === 'graph' ? 'graph' : asked === 'explain' ? 'explain' : 'table';
  const range = parseDuration(p.get('range_input') ?? '');
  const end = parseTime((tab !== 'table' ? p.get('end_input') : p.get('moment_input')) ?? p.get('end_input') ?? '', true);
  const step = p.get('res_type') === 'fixed' || !p.has('res_type')
    ? parseDuration(p.get('res_step') ?? p.get('step_input') ?? '') : NaN;
  return newPanel({ expr: p.get('expr') ?? '', tab, range: range > 0 ? range : 3600, end: end > 0 ? end : 0,
    step: step > 0 ? step : 0, 
    mode: shape === 'lines' || shape === 'stacked' || shape === 'heatmap' ? shape : p.get('stacked') === '1' ? 'stacked' : '' });
}

export function readPanels(search: string): Panel[] {
  const groups: Map<string, string>[] = [];
  for (const [k, v] of new URLSearchParams(search)) {
    const m = /^g(\d{1,2})\.(\w+)$/.exec(k);
    if (m) (groups[Number(m[1])] ??= new Map()).set(m[2], v);
  }
  const panels = groups.filter(Boolean).map(readPanel);
  return panels.length ? panels : [newPanel()];
}

// Times in an address are UTC, whoever reads it: that is how Prometheus reads them.
function utcText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}

export function writePanels(panels: Panel[]): string {
  const p = new URLSearchParams();
  panels.forEach((q, i) => {
    p.set(`g${i}.expr`, q.expr);
    p.set(`g${i}.tab`, q.tab);
    if (q.tab !== 'table') {
      p.set(`g${i}.range_input`, durationText(q.range));
      if (q.end) p.set(`g${i}.end_input`, utcText(q.end));
      if (q.step) {
        p.set(`g${i}.res_type`, 'fixed');
        p.set(`g${i}.res_step`, String(q.step));
      }
      if (q.mode) p.set(`g${i}.display_mode`, q.mode);
    } else if (q.end) p.set(`g${i}.moment_input`, utcText(q.end));
  });
  return `?${p.toString()}`;
}

const nice = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
// About 300 points, a step that a reader can say.
export function autoStep(range: number): number {
  const least = range / 300;
  return nice.find((s) => s >= least) ?? Math.ceil(least / 86400) * 86400;
}
export const endText = (ms: number) => (ms ? timeText(ms) : '');

const historyKey = 'narthex.history';
export function history(): string[] {
  try {
    const v: unknown = JSON.parse(localStorage.getItem(historyKey) ?? '[]');
    return Array.isArray(v) ? v.filter((x) => typeof x === 'string') : [];
  } catch {
    return [];
  }
}
export function remember(expr: string) {
  const list = [expr, ...history().filter((x) => x !== expr)].slice(0, 100);
  localStorage.setItem(historyKey, JSON.stringify(list));
}
