// Explore: queries, each as a table at a moment or as a graph over a range; the address says all of it.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, type Answer, type Point, type QueryData, type Series, ask } from './api';
import { count, durationText, parseDuration, parseTime, plural, seriesText, timeText, tookText } from './format';
import { Graph, type Plotter } from './graph';
import { Choices, CopyButton, Empty, LabelList, Many, download } from './parts';
import { QueryBox } from './querybox';
import { type Panel, autoStep, endText, newPanel, readPanels, remember, writePanels } from './querystate';

interface Result { panel: Panel; answer: Answer<QueryData>; took: number; start: number; end: number; step: number }

const grids = (r: Result) => r.answer.data.result as Series[];

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

function csvOf(data: QueryData): string {
  if (!Array.isArray(data.result) || typeof data.result[0] === 'number') {
    const [t, v] = data.result as Point;
    return `time,value\n${new Date(t * 1000).toISOString()},${csvField(v)}\n`;
  }
  const all = data.result as Series[];
  const names = [...new Set(all.flatMap((s) => Object.keys(s.metric)))].sort();
  const lines = [[...names, 'time', 'value'].map(csvField).join(',')];
  for (const s of all)
    for (const [t, v] of s.values ?? (s.value ? [s.value] : []))
      lines.push([...names.map((n) => csvField(s.metric[n] ?? '')), new Date(t * 1000).toISOString(), v].join(','));
  return `${lines.join('\n')}\n`;
}

function Exports({ result }: { result: Result }) {
  const data = result.answer.data;
  return <span class="exports"><button type="button" class="quiet" onClick={() => download('query.csv', 'text/csv', csvOf(data))}>CSV</button>
    <button type="button" class="quiet" onClick={() => download('query.json', 'application/json', JSON.stringify(data, null, 1))}>JSON</button>
    <CopyButton text={location.href} label="Copy link" /></span>;
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

function Controls({ p, change }: { p: Panel; change: (over: Partial<Panel>) => void }) {
  const end = p.end || Date.now();
  const jump = p.tab === 'graph' ? p.range / 2 : 300;
  const move = (by: number) => change({ end: end + by * 1000 > Date.now() ? 0 : Math.round((end + by * 1000) / 1000) * 1000 });
  return <div class="controls">
    <Choices label="View" value={p.tab} onValue={(tab) => change({ tab })}
      all={[{ value: 'table', label: 'Table' }, { value: 'graph', label: 'Graph' }]} />
    {p.tab === 'graph' && <span class="joined" role="group" aria-label="Range">
      <button type="button" aria-label="Shorter range" onClick={() => change({ range: [...ranges].reverse().find((r) => r < p.range) ?? p.range })}>−</button>
      <Field label="Range" value={durationText(p.range)} parse={parseDuration} hint="1h" size={5}
        onValue={(range) => range > 0 && change({ range })} />
      <button type="button" aria-label="Longer range" onClick={() => change({ range: ranges.find((r) => r > p.range) ?? p.range })}>+</button></span>}
    <span class="joined" role="group" aria-label={p.tab === 'graph' ? 'End' : 'Time'}>
      <button type="button" aria-label="Earlier" onClick={() => move(-jump)}>‹</button>
      <Field label={p.tab === 'graph' ? 'End of the range' : 'Time of the query'} value={endText(p.end)} parse={parseTime}
        hint="now" size={19} onValue={(ms) => change({ end: ms })} />
      <button type="button" aria-label="Later" disabled={!p.end} onClick={() => move(jump)}>›</button></span>
    {p.tab === 'graph' && <>
      <Field label="Resolution" value={p.step ? durationText(p.step) : ''} parse={parseDuration} size={8}
        hint={`step ${durationText(autoStep(p.range))}`} onValue={(step) => change({ step })} />
      <button type="button" aria-pressed={p.stacked} onClick={() => change({ stacked: !p.stacked })}>Stacked</button></>}
  </div>;
}

async function runQuery(panel: Panel, signal: AbortSignal): Promise<Result> {
  const end = (panel.end || Date.now()) / 1000, begun = performance.now();
  const step = Math.max(panel.step || autoStep(panel.range), panel.range / 10000);
  const start = end - panel.range;
  const answer = panel.tab === 'graph'
    ? await ask<QueryData>('query_range', { query: panel.expr, start: start.toFixed(3), end: end.toFixed(3), step: String(step) }, signal)
    : await ask<QueryData>('query', { query: panel.expr, time: end.toFixed(3) }, signal);
  return { panel, answer, took: (performance.now() - begun) / 1000, start, end, step };
}

function PanelView({ p, index, first, change, remove }:
  { p: Panel; index: number; first: boolean; change: (over: Partial<Panel>) => void; remove?: () => void }) {
  const [text, setText] = useState(p.expr);
  const [result, setResult] = useState<Result>();
  const [error, setError] = useState<{ error: ApiError; expr: string }>();
  const [busy, setBusy] = useState(false);
  const [round, setRound] = useState(0);
  const abort = useRef<AbortController | undefined>(undefined);
  const plotter = usePlotter(p.tab === 'graph');
  useEffect(() => setText(p.expr), [p.expr]);
  useEffect(() => {
    abort.current?.abort();
    if (!p.expr.trim()) return;
    const a = abort.current = new AbortController();
    setBusy(true);
    runQuery(p, a.signal).then((r) => { setResult(r); setError(undefined); remember(p.expr); },
      (e) => { if (!a.signal.aborted) setError({ error: e as ApiError, expr: p.expr }); })
      .finally(() => { if (abort.current === a) setBusy(false); });
    return () => a.abort();
  }, [p.expr, p.tab, p.range, p.end, p.step, round]);
  const run = (expr: string) => { change({ expr: expr.trim() }); setRound((n) => n + 1); };
  const fits = result && (result.panel.tab === p.tab);
  return <section class="panel" aria-label={`Query ${index + 1}`} aria-busy={busy}>
    <QueryBox value={text} onValue={setText} onRun={run} label={`Query ${index + 1}`} first={first} />
    <div class="panel-bar"><Controls p={p} change={change} />
      <span class="outcome dim" role="status">{busy ? 'Running…' : fits && !error ? <>{result.answer.data.resultType === 'scalar' ? '1 value'
        : plural(grids(result).length, 'series', 'series')}, {tookText(result.took)}{p.tab === 'graph' && `, step ${durationText(result.step)}`}</> : ''}</span>
      {fits && !error && <Exports result={result} />}
      {remove && <button type="button" class="quiet" aria-label={`Remove query ${index + 1}`} onClick={remove}>Remove</button>}</div>
    {error && <QueryError {...error} />}
    {!error && fits && <><Notes answer={result.answer} />
      {p.tab === 'table' ? <Table data={result.answer.data} onExpr={run} />
        : grids(result).length === 0 ? <Empty title="The result is empty."><p>No series matches in this range.</p></Empty>
          : plotter ? <Graph plotter={plotter} series={grids(result)} start={result.start} end={result.end} step={result.step} stacked={p.stacked}
            onZoom={(from, to) => change({ range: Math.max(1, Math.round(to - from)), end: Math.round(to) * 1000 })} /> : null}</>}
    {!p.expr && <p class="hint dim">Enter runs, Shift Enter starts a new line, Ctrl Space completes. Try <button type="button" class="link"
      onClick={() => run('up')}>up</button> or <button type="button" class="link"
      onClick={() => run('topk(10, count by (__name__) ({__name__!=""}))')}>the largest metrics</button>.</p>}
  </section>;
}

export function Explore() {
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
    {panels.map((p, i) => <PanelView key={p.id} p={p} index={i} first={i === 0}
      change={(over) => set(panels.map((q) => (q.id === p.id ? { ...q, ...over } : q)))}
      remove={panels.length > 1 ? () => set(panels.filter((q) => q.id !== p.id)) : undefined} />)}
    <button type="button" class="add" onClick={() => {
      const { expr: _expr, id: _id, ...like } = panels[panels.length - 1];
      set([...panels, newPanel(like)]);
    }}>+ Add a query</button>
  </div>;
}
