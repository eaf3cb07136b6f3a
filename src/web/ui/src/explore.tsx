// Explore: queries, each as a table at a moment or as a graph over a range; the address says all of it.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, type Answer, type Point, type QueryData, type Series, ask } from './api';
import { count, durationText, parseDuration, parseTime, plural, seriesText, timeText, tookText } from './format';
import { Explain, type Explanation } from './explain';
import { Graph } from './graph';
import { Heatmap, isHistogram } from './heatmap';
import { MetricExplorer } from './metrics';
import { Choices, CopyButton, Empty, LabelList, Many, download } from './parts';
import type { Plotter } from './plot';
import { type ErrorPlace, QueryBox } from './querybox';
import { type Mode, type Panel, autoStep, endText, newPanel, readPanels, remember, writePanels } from './querystate';

interface Result { panel: Panel; answer: Answer<QueryData>; plan?: Explanation; took: number; start: number; end: number; step: number }

const grids = (r: Result) => r.answer.data.result as Series[];

function placeOfError(e: ApiError): ErrorPlace | null {
  const m = /(\d+):(\d+): parse error: /.exec(e.message);
  return m && { line: Number(m[1]), column: Number(m[2]) };
}

// "1:7: parse error: ..." with the line it is about and a caret under the column.
function QueryError({ error, expr }: { error: ApiError; expr: string }) {
  const m = /(\d+):(\d+): parse error: ([^]*)$/.exec(error.message);
  const line = m ? expr.split('\n')[Number(m[1]) - 1] : undefined;
  return <div class="problem query-error" role="alert"><strong>{m ? 'The query has an error' : 'No result'}</strong>
    {m && line !== undefined
      ? <pre tabIndex={0} aria-label="Where the error is">{line}{'\n'}{' '.repeat(Math.max(0, Number(m[2]) - 1))}<span class="caret">^</span> {m[3]}</pre>
      : <span>{error.message}</span>}</div>;
}

const Notes = ({ answer }: { answer: Answer<QueryData> }) => <>
  {answer.warnings.map((w) => <p class="note warn" key={w}>{w}</p>)}
  {answer.infos.map((w) => <p class="note" key={w}>{w}</p>)}</>;

const csvField = (s: string) => (/[",\n\r]/.test(s) ? `"${s.replace(/"/g, '""')}"` : s);

// A native histogram is one field: its JSON.
const histogramPoints = (s: Series): Point[] =>
  ((s.histograms ?? (s.histogram ? [s.histogram] : [])) as [number, unknown][]).map(([t, h]) => [t, JSON.stringify(h)]);

function csvOf(data: QueryData): string {
  if (!Array.isArray(data.result) || typeof data.result[0] === 'number') {
    const [t, v] = data.result as Point;
    return `time,value\n${new Date(t * 1000).toISOString()},${csvField(v)}\n`;
  }
  const all = data.result as Series[];
  const names = [...new Set(all.flatMap((s) => Object.keys(s.metric)))].sort();
  const lines = [[...names, 'time', 'value'].map(csvField).join(',')];
  for (const s of all)
    for (const [t, v] of [...(s.values ?? (s.value ? [s.value] : [])), ...histogramPoints(s)])
      lines.push([...names.map((n) => csvField(s.metric[n] ?? '')), new Date(t * 1000).toISOString(), csvField(v)].join(','));
  return `${lines.join('\n')}\n`;
}

function Exports({ result }: { result: Result }) {
  const data = result.answer.data;
  const json = () => JSON.stringify(result.plan ?? data, null, 1);
  return <>{!result.plan && <button type="button" class="quiet" onClick={() => download('query.csv', 'text/csv', csvOf(data))}>CSV</button>}
    <button type="button" class="quiet" onClick={() => download('query.json', 'application/json', json())}>JSON</button>
    <CopyButton text={location.href} label="Copy link" /></>;
}

interface Buckets { count: string; sum: string; buckets?: [number, string, string, string][] }

function Value({ s }: { s: Series }) {
  const h = (s.histogram as [number, Buckets] | undefined)?.[1];
  if (h) return <span class="histogram">count {h.count}, sum {h.sum}{h.buckets?.map(([kind, from, to, n]) =>
    <span key={from + to} class="bucket">{[1, 3].includes(kind) ? '[' : '('}{from}, {to}{[0, 3].includes(kind) ? ']' : ')'} {n}</span>)}</span>;
  if (s.values) return <span class="samples">{s.values.slice(-20).map(([t, v]) =>
    <span key={t}>{v} <span class="dim">@ {timeText(t * 1000)}</span></span>)}
    {s.values.length > 20 && <span class="dim">and {count(s.values.length - 20)} before</span>}</span>;
  return <>{s.value?.[1]}</>;
}

function TableRow({ s, onExpr }: { s: Series; onExpr: (e: string) => void }) {
  const { __name__: name, ...labels } = s.metric;
  return <div class="row" data-row tabIndex={-1}>
    <span class="c-name">{name && <strong>{name}</strong>}<LabelList labels={labels} />
      {!name && Object.keys(labels).length === 0 && <span class="dim">no labels</span>}
      {name && <button type="button" class="quiet only" title="Query this series alone"
        onClick={() => onExpr(seriesText(s.metric))}>only this</button>}</span>
    <span class="c-value num"><Value s={s} /></span></div>;
}

function Table({ data, onExpr }: { data: QueryData; onExpr: (e: string) => void }) {
  if (data.resultType === 'scalar' || data.resultType === 'string') {
    return <p class="scalar num">{(data.result as Point)[1]} <span class="dim">{data.resultType}</span></p>;
  }
  const all = data.result as Series[];
  return all.length ? <div class="list results"><Many items={all} row={(s, i) => <TableRow key={i} s={s} onExpr={onExpr} />} /></div>
    : <Empty title="The result is empty.">
      <p>No series matches at this time. A metric that ended more than five minutes earlier is not found here any more.</p></Empty>;
}

function usePlotter(wanted: boolean): Plotter | undefined {
  const [plotter, setPlotter] = useState<{ it: Plotter }>();
  useEffect(() => { if (wanted && !plotter) void import('uplot').then((m) => setPlotter({ it: m.default })); }, [wanted]);
  return plotter?.it;
}

// A text that becomes a value when it is left or entered; red while it is none.
function Field({ label, value, parse, onValue, hint, size }:
  { label: string; value: string; parse: (s: string) => number; onValue: (n: number) => void; hint: string; size: number }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const bad = text !== '' && !Number.isFinite(parse(text));
  const done = () => {
    if (!bad && text !== value) onValue(text === '' ? 0 : parse(text));
  };
  return <input value={text} aria-label={label} title={label} placeholder={hint} size={size} aria-invalid={bad || undefined}
    onInput={(e) => setText(e.currentTarget.value)} onBlur={done} onKeyDown={(e) => e.key === 'Enter' && done()} />;
}

const ranges = [60, 300, 900, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800, 1209600, 2419200, 7257600, 31536000];

function Controls({ p, mode, change }: { p: Panel; mode: Mode; change: (over: Partial<Panel>) => void }) {
  const end = p.end || Date.now();
  const ranged = p.tab !== 'table', jump = ranged ? p.range / 2 : 300;
  const move = (by: number) => change({ end: end + by * 1000 > Date.now() ? 0 : Math.round((end + by * 1000) / 1000) * 1000 });
  return <div class="controls">
    <Choices label="View" value={p.tab} onValue={(tab) => change({ tab })}
      all={[{ value: 'table', label: 'Table' }, { value: 'graph', label: 'Graph' }, { value: 'explain', label: 'Explain' }]} />
    {ranged && <span class="joined" role="group" aria-label="Range">
      <button type="button" aria-label="Shorter range" onClick={() => change({ range: [...ranges].reverse().find((r) => r < p.range) ?? p.range })}>−</button>
      <Field label="Range" value={durationText(p.range)} parse={parseDuration} hint="1h" size={5}
        onValue={(range) => range > 0 && change({ range })} />
      <button type="button" aria-label="Longer range" onClick={() => change({ range: ranges.find((r) => r > p.range) ?? p.range })}>+</button></span>}
    <span class="joined" role="group" aria-label={ranged ? 'End' : 'Time'}>
      <button type="button" aria-label="Earlier" onClick={() => move(-jump)}>‹</button>
      <Field label={ranged ? 'End of the range' : 'Time of the query'} value={endText(p.end)} parse={parseTime}
        hint="now" size={16} onValue={(ms) => change({ end: ms })} />
      <button type="button" aria-label="Later" disabled={!p.end} onClick={() => move(jump)}>›</button></span>
    {ranged && <Field label="Resolution" value={p.step ? durationText(p.step) : ''} parse={parseDuration} size={7}
        hint={`step ${durationText(autoStep(p.range))}`} onValue={(step) => change({ step })} />}
    {p.tab === 'graph' && <Choices label="Drawn as" value={mode} onValue={(m) => change({ mode: m })}
      all={[{ value: 'lines', label: 'Lines' }, { value: 'stacked', label: 'Stacked' }, { value: 'heatmap', label: 'Heatmap' }]} />}
  </div>;
}

async function runQuery(panel: Panel, signal: AbortSignal): Promise<Result> {
  const end = (panel.end || Date.now()) / 1000, begun = performance.now();
  const step = Math.max(panel.step || autoStep(panel.range), panel.range / 10000);
  const start = end - panel.range;
  if (panel.tab === 'explain') {
    const plan = await ask<Explanation>('query_explain', { query: panel.expr, start: start.toFixed(3), end: end.toFixed(3), step: String(step) }, signal);
    return { panel, answer: { ...plan, data: { resultType: 'matrix', result: [] } }, plan: plan.data, took: (performance.now() - begun) / 1000, start, end, step };
  }
  const answer = panel.tab === 'graph'
    ? await ask<QueryData>('query_range', { query: panel.expr, start: start.toFixed(3), end: end.toFixed(3), step: String(step) }, signal)
    : await ask<QueryData>('query', { query: panel.expr, time: end.toFixed(3) }, signal);
  return { panel, answer, took: (performance.now() - begun) / 1000, start, end, step };
}

const suggestions: [string, string][] = [['up', 'which targets are up'],
  ['topk(10, count by (__name__) ({__name__!=""}))', 'the largest metrics'],
  ['ALERTS{alertstate="firing"}', 'what fires']];

function Picture({ p, result, mode, onZoom }: { p: Panel; result: Result; mode: Mode; onZoom: (from: number, to: number) => void }) {
  const plotter = usePlotter(true);
  const series = grids(result);
  if (!series.length) return <Empty title="The result is empty."><p>No series matches in this range.</p></Empty>;
  if (!plotter) return null;
  const props = { plotter, series, start: result.start, end: result.end, step: result.step, onZoom };
  if (mode !== 'heatmap') return <Graph {...props} stacked={mode === 'stacked'} />;
  return isHistogram(series) ? <Heatmap {...props} />
    : <Empty title="This result is no histogram."><p>A heatmap needs native histograms or series with <code>le</code>, such
      as <code>sum by (le) (rate({/(\w+_bucket)\b/.exec(p.expr)?.[1] ?? 'x_bucket'}[5m]))</code>.</p></Empty>;
}

function PanelView({ p, index, first, change, remove, take }:
  { p: Panel; index: number; first: boolean; change: (over: Partial<Panel>) => void; remove?: () => void;
    take: (use: (expr: string) => void) => void }) {
  const [text, setText] = useState(p.expr);
  const [result, setResult] = useState<Result>();
  const [error, setError] = useState<{ error: ApiError; expr: string }>();
  const [busy, setBusy] = useState(false);
  const [round, setRound] = useState(0);
  const abort = useRef<AbortController | undefined>(undefined);
  useEffect(() => setText(p.expr), [p.expr]);
  useEffect(() => {
    abort.current?.abort();
    setError(undefined);
    if (!p.expr.trim()) return;
    const a = abort.current = new AbortController();
    setBusy(true);
    runQuery(p, a.signal).then((r) => { setResult(r); remember(p.expr); },
      (e) => { if (!a.signal.aborted) setError({ error: e as ApiError, expr: p.expr }); })
      .finally(() => { if (abort.current === a) setBusy(false); });
    return () => a.abort();
  }, [p.expr, p.tab, p.range, p.end, p.step, round]);
  const run = (expr: string) => { change({ expr: expr.trim() }); setRound((n) => n + 1); };
  const fits = result && p.expr && result.panel.tab === p.tab ? result : undefined;
  const mode: Mode = p.mode || (fits && p.tab === 'graph' && isHistogram(grids(fits)) ? 'heatmap' : 'lines');
  const zoom = (from: number, to: number) => {
    const range = Math.max(1, Math.round(to - from)), end = Math.round(to) * 1000;
    change({ range, end: end > Date.now() ? 0 : end });
  };
  return <section class="panel" aria-label={`Query ${index + 1}`} aria-busy={busy}>
    <QueryBox value={text} onValue={setText} onRun={run} onMetrics={() => take(run)} label={`Query ${index + 1}`} first={first}
      error={error && error.expr === text.trim() ? placeOfError(error.error) : null} />
    <div class="panel-bar"><Controls p={p} mode={mode} change={change} />
      <span class="outcome dim" role="status">{busy ? 'Running…' : fits && !error ? <>{p.tab === 'explain' ? ''
        : fits.answer.data.resultType === 'scalar' ? '1 value, ' : `${plural(grids(fits).length, 'series', 'series')}, `}{tookText(fits.took)}
        {p.tab !== 'table' && `, step ${durationText(fits.step)}`}</> : ''}</span>
      <span class="exports">{fits && !error && <Exports result={fits} />}
        {remove && <button type="button" class="quiet" aria-label={`Remove query ${index + 1}`} onClick={remove}>Remove</button>}</span></div>
    {error && <QueryError {...error} />}
    {!error && fits && <><Notes answer={fits.answer} />
      {fits.plan ? <Explain data={fits.plan} query={fits.panel.expr} />
        : p.tab === 'table' ? <Table data={fits.answer.data} onExpr={run} />
          : <Picture p={p} result={fits} mode={mode} onZoom={zoom} />}</>}
    {!p.expr && <p class="hint dim">Enter runs, Shift Enter starts a new line, Ctrl Space completes. Try {suggestions.map(([q, what], i) =>
      <>{i > 0 && ', '}<button type="button" class="link" key={q} onClick={() => run(q)}>{what}</button></>)}.</p>}
  </section>;
}

export function Explore() {
  const [take, setTake] = useState<{ use: (expr: string) => void }>();
  const [panels, setPanels] = useState<Panel[]>(() => readPanels(location.search));
  const shown = useRef(location.search);
  useEffect(() => {
    const onPop = () => {
      if (location.search !== shown.current) { shown.current = location.search; setPanels(readPanels(location.search)); }
    };
    window.addEventListener('popstate', onPop);
    return () => window.removeEventListener('popstate', onPop);
  }, []);
  const set = (next: Panel[]) => {
    setPanels(next);
    const search = writePanels(next);
    if (search === shown.current) return;
    shown.current = search;
    window.history.pushState(null, '', `query${search}`);
  };
  return <div class="explore">
    {panels.map((p, i) => <PanelView key={p.id} p={p} index={i} first={i === 0} take={(use) => setTake({ use })}
      change={(over) => set(panels.map((q) => (q.id === p.id ? { ...q, ...over } : q)))}
      remove={panels.length > 1 ? () => set(panels.filter((q) => q.id !== p.id)) : undefined} />)}
    <button type="button" class="add" onClick={() => {
      const { expr: _expr, id: _id, ...like } = panels[panels.length - 1];
      set([...panels, newPanel(like)]);
    }}>+ Add a query</button>
    {take && <MetricExplorer onQuery={take.use} onClose={() => setTake(undefined)} />}
  </div>;
}
