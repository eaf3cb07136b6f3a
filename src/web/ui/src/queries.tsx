// Queries: what runs and waits now, with a way to end it, and what took the most time since the start.
import { useState } from 'preact/hooks';
import { ApiError, change, usePoll } from './api';
import { bytes, clockText, count, durationText, plural, timeText, tookText } from './format';
import { type Rows, useFeed } from './live';
import { Badge, Choices, Empty, Loading, Many, Problem, Search, exploreLink, matchesText } from './parts';

export interface RunningQuery {
  id: string; query: string; source: string; client?: string; start: number; durationSeconds: number; state: 'running' | 'queued';
  samples: number; memoryBytes: number; rangeStart: number; rangeEnd: number; step: number;
}
interface SlowQuery { query: string; source: string; count: number; totalSeconds: number; maxSeconds: number; lastStart: number;
  samples: number; lastError: string }

export const useRunning = () => useFeed<Rows<RunningQuery>, { queries: RunningQuery[] }>('queries', 'status/active_queries', {},
  (a) => new Map(a.queries.map((q) => [q.id, q])));

// A query that is killed may end by itself in between: no error then.
function Kill({ id }: { id: string }) {
  const [said, setSaid] = useState('');
  return <button type="button" class="danger" disabled={said === 'Ending…'} aria-label={`Kill query ${id}`} onClick={() => {
    setSaid('Ending…');
    change('status/active_queries/kill', { id }).then(() => undefined,
      (e: ApiError) => setSaid(e.status === 404 ? 'Ended' : e.message));
  }}>{said || 'Kill'}</button>;
}

function RunningRow({ q }: { q: RunningQuery }) {
  const took = Math.max(q.durationSeconds, Date.now() / 1000 - q.start);
  return <div class="row" data-row tabIndex={-1}>
    <span class="c-state"><Badge state={q.state} /></span>
    <span class="c-name"><a class="query plain-link" href={exploreLink(q.query, q.step > 0)}><code>{q.query}</code></a>
      <span class="dim">{q.source}{q.client ? ` from ${q.client}` : ''}{q.step > 0 && `, ${durationText(q.rangeEnd - q.rangeStart)} by ${durationText(q.step)} up to ${timeText(q.rangeEnd * 1000)}`}</span></span>
    <span class="c-num num" title="Samples read">{count(q.samples)}<span class="cap"> samples</span></span><span class="c-num num" title="Memory">{bytes(q.memoryBytes)}</span>
    <span class="c-num num" title={`since ${timeText(q.start * 1000)}`}>{tookText(took)}</span><span class="c-act"><Kill id={q.id} /></span>
  </div>;
}

function Running() {
  const { data, error, at } = useRunning();
  if (!data) return error ? <Problem error={error} /> : <Loading />;
  const all = [...data.values()].sort((a, b) => Number(a.state === 'queued') - Number(b.state === 'queued') || a.start - b.start);
  return <section><h2 class="over">Now <span class="dim">{plural(all.length, 'query', 'queries')}</span></h2>
    {error && <Problem error={error}><span> Shown is what was true at {clockText(at)}.</span></Problem>}
    {all.length ? <div class="list queries"><div class="row head" aria-hidden="true"><span class="c-state">State</span><span class="c-name">Query</span>
      <span class="c-num">Samples</span><span class="c-num">Memory</span><span class="c-num">Time</span><span class="c-act" /></div>
      <Many items={all} row={(q) => <RunningRow key={q.id} q={q} />} /></div>
      : <div class="empty slim"><p>No query runs at this moment.</p></div>}</section>;
}

type Order = 'total' | 'max' | 'samples' | 'count';
const orders: Record<Order, (q: SlowQuery) => number> = { total: (q) => q.totalSeconds, max: (q) => q.maxSeconds,
  samples: (q) => q.samples, count: (q) => q.count };

function Slow() {
  const { data, error } = usePoll<{ queries: SlowQuery[] }>('status/slow_queries', 5);
  const [order, setOrder] = useState<Order>('total');
  const [text, setText] = useState('');
  if (!data) return error ? <Problem error={error} /> : <Loading />;
  const rows = data.queries.filter((q) => !text || matchesText(text, q.query, q.source)).sort((a, b) => orders[order](b) - orders[order](a));
  const total = data.queries.reduce((n, q) => n + q.totalSeconds, 0) || 1;
  return <section><h2 class="over">Since the start</h2>
    <div class="bar"><Search value={text} onValue={setText} label="Filter by query or source" />
      <Choices label="Order" value={order} onValue={setOrder} all={[{ value: 'total', label: 'Total time' }, { value: 'max', label: 'Slowest' },
        { value: 'samples', label: 'Samples' }, { value: 'count', label: 'Runs' }]} /></div>
    {rows.length ? <div class="list queries"><div class="row head" aria-hidden="true"><span class="c-name">Query</span><span class="c-num">Runs</span>
      <span class="c-num">Samples</span><span class="c-num">Slowest</span><span class="c-num">Total</span><span class="c-meter">Share</span></div>
      <Many items={rows} row={(q) => <div class="row" data-row tabIndex={-1} key={`${q.source};${q.query}`}>
        <span class="c-name"><a class="query plain-link" href={exploreLink(q.query)}><code>{q.query}</code></a>
          <span class="dim">{q.source}, last {timeText(q.lastStart * 1000)}</span>{q.lastError && <span class="error">{q.lastError}</span>}</span>
        <span class="c-num num">{count(q.count)}<span class="cap"> runs</span></span><span class="c-num num">{count(q.samples)}<span class="cap"> samples</span></span>
        <span class="c-num num">{tookText(q.maxSeconds)}<span class="cap"> slowest</span></span><span class="c-num num">{tookText(q.totalSeconds)}<span class="cap"> total</span></span>
        <span class="c-meter"><meter min={0} max={1} value={q.totalSeconds / total} aria-label={`${((q.totalSeconds / total) * 100).toFixed(0)} % of the time`} /></span>
      </div>} /></div> : <Empty title={data.queries.length ? 'No query matches.' : 'No query has run yet.'} />}</section>;
}

export const QueriesPage = () => <><Running /><Slow /></>;
