// Storage: what is in memory, what makes it many series, and the blocks. What is too many can be followed up: its series,
// its growth, and a draft of the relabelling that would drop it.
import { useState } from 'preact/hooks';
import { type QueryData, type Series, ask, usePoll } from './api';
import { bytes, count, plural, timeText } from './format';
import { CopyButton, Loading, Problem, exploreLink } from './parts';

interface Count { name: string; value: number }
interface TsdbStatus { headStats: { numSeries: number; numLabelPairs: number; chunkCount: number; minTime: number; maxTime: number };
  seriesCountByMetricName: Count[]; labelValueCountByLabelName: Count[]; memoryInBytesByLabelName: Count[];
  seriesCountByLabelValuePair: Count[] }
interface Block { ulid: string; minTime: number; maxTime: number; compaction: { level: number };
  stats: { numSamples: number; numSeries: number; numChunks: number; numBytes: number } }

const quote = (s: string) => JSON.stringify(s);
const bare = (s: string) => (/^[a-zA-Z_]\w*$/.test(s) ? s : quote(s));
const yaml = (s: string) => `'${s.replace(/'/g, "''")}'`;
const literally = (s: string) => s.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
const pairOf = (name: string): [string, string] => [name.slice(0, name.indexOf('=')), name.slice(name.indexOf('=') + 1)];

interface Kind { title: string; before?: (names: string[]) => string; keyOf?: (s: Series) => string; link: (name: string) => string; format?: (n: number) => string; draft?: (name: string) => string;
  effect?: (r: Count) => string }
const drop = (label: string, value: string) => `metric_relabel_configs:
  - source_labels: [${bare(label)}]
    regex: ${yaml(literally(value))}
    action: drop
`;
const kinds: Record<string, Kind> = {
  metric: { title: 'Series by metric', keyOf: (s) => s.metric.__name__,
    before: (names) => `count by (__name__) ({__name__=~${quote(names.map(literally).join('|'))}} offset 1h)`,
    link: (n) => exploreLink(`{__name__=${quote(n)}}`), draft: (n) => drop('__name__', n),
    effect: (r) => `drops ${plural(r.value, 'series', 'series')}` },
  label: { title: 'Values by label', link: (n) => exploreLink(`count by (${bare(n)}) ({__name__!=""})`),
    draft: (n) => `metric_relabel_configs:\n  - regex: ${yaml(literally(n))}\n    action: labeldrop\n`,
    effect: (r) => `takes the label with its ${plural(r.value, 'value')} away; series that differ in nothing else become duplicates` },
  pair: { title: 'Series by label pair', link: (n) => exploreLink(`count by (__name__) ({${bare(pairOf(n)[0])}=${quote(pairOf(n)[1])}})`),
    draft: (n) => drop(...pairOf(n)), effect: (r) => `drops ${plural(r.value, 'series', 'series')}` },
  bytes: { title: 'Bytes by label', link: (n) => exploreLink(`count by (${bare(n)}) ({__name__!=""})`), format: bytes },
};

function Draft({ kind, row, onClose }: { kind: Kind; row: Count; onClose: () => void }) {
  const text = kind.draft!(row.name);
  return <div class="draft"><p>As part of a job's configuration this {kind.effect!(row)}, from the next scrape on:</p>
    <pre tabIndex={0} aria-label="Draft">{text}</pre>
    <p><CopyButton text={text} /><button type="button" class="quiet" onClick={onClose}>Close</button></p></div>;
}

// How much each grew within the last hour: asked for on demand, it reads the index of an hour ago.
function useGrowth(kind: Kind, rows: Count[]) {
  const [before, setBefore] = useState<Map<string, number>>();
  const [busy, setBusy] = useState(false);
  const look = () => {
    setBusy(true);
    ask<QueryData>('query', { query: kind.before!(rows.map((r) => r.name)) })
      .then((a) => setBefore(new Map((a.data.result as Series[]).map((s) => [kind.keyOf!(s), Number(s.value![1])]))), () => setBefore(new Map()))
      .finally(() => setBusy(false));
  };
  return { before, busy, look };
}

function Growth({ now, before }: { now: number; before?: number }) {
  if (before === undefined) return <span class="dim">new</span>;
  return now === before ? <span class="dim">same</span> : <>{now > before ? '+' : '−'}{count(Math.abs(now - before))}</>;
}

function Bars({ kind, rows, total }: { kind: Kind; rows: Count[]; total?: number }) {
  const [open, setOpen] = useState('');
  const growth = useGrowth(kind, rows);
  const max = Math.max(1, ...rows.map((r) => r.value)), format = kind.format ?? count;
  return <section class="card"><h2>{kind.title}{kind.before && !growth.before && <button type="button" class="quiet" disabled={growth.busy} onClick={growth.look}>Compare with an hour ago</button>}
      {growth.before && <span class="dim"> and how many more than an hour ago</span>}</h2>
    <table class="bars"><tbody>{rows.map((r) => <>
      <tr key={r.name}><th scope="row"><a href={kind.link(r.name)}>{r.name}</a></th>
        <td class="meter"><meter min={0} max={max} value={r.value} aria-label={`${r.name}: ${r.value}`} /></td>
        <td class="num">{format(r.value)}</td>
        {growth.before && <td class="num"><Growth now={r.value} before={growth.before.get(r.name)} /></td>}
        {total ? <td class="num dim">{((r.value / total) * 100).toFixed(1)} %</td> : null}
        {kind.draft && <td class="drop">{r.name !== '__name__' && <button type="button" class="quiet" aria-expanded={open === r.name} aria-label={`drop… ${r.name}`}
          onClick={() => setOpen(open === r.name ? '' : r.name)}>drop…</button>}</td>}</tr>
      {open === r.name && <tr key={`${r.name} draft`}><td colSpan={6} class="drafted"><Draft kind={kind} row={r} onClose={() => setOpen('')} /></td></tr>}
    </>)}</tbody></table></section>;
}

function Blocks() {
  const { data } = usePoll<{ blocks: Block[] }>('status/tsdb/blocks', 15);
  if (!data) return null;
  const sum = (f: (b: Block) => number) => data.blocks.reduce((n, b) => n + f(b), 0);
  const samples = sum((b) => b.stats.numSamples), size = sum((b) => b.stats.numBytes);
  return <section class="card"><h2>Blocks</h2>{data.blocks.length ? <>
    <p class="dim">{plural(data.blocks.length, 'block')}, {plural(samples, 'sample')} in {bytes(size)}{samples > 0 && `: ${(size / samples).toFixed(2)} bytes a sample, index included`}</p>
    <div class="scroll" role="region" aria-label="Blocks" tabIndex={0}><table class="grid"><thead><tr><th>Block</th><th>From</th><th>To</th>
      <th>Level</th><th>Series</th><th>Samples</th><th>Size</th></tr></thead><tbody>{data.blocks.map((b) => <tr key={b.ulid}>
        <td><code>{b.ulid}</code></td><td class="num">{timeText(b.minTime)}</td><td class="num">{timeText(b.maxTime)}</td>
        <td class="num">{b.compaction.level}</td><td class="num">{count(b.stats.numSeries)}</td>
        <td class="num">{count(b.stats.numSamples)}</td><td class="num">{bytes(b.stats.numBytes)}</td></tr>)}</tbody></table></div></>
    : <p class="dim">No block has been cut yet: all is in memory and in the journal.</p>}</section>;
}

export function Storage() {
  const [limit, setLimit] = useState('10');
  const { data, error } = usePoll<TsdbStatus>('status/tsdb', 15, { limit });
  if (!data) return error ? <Problem error={error} /> : <Loading />;
  const h = data.headStats;
  return <>
    <section class="card"><h2>In memory</h2><dl class="tiles">
      <div><dt>Series</dt><dd>{count(h.numSeries)}</dd></div><div><dt>Label pairs</dt><dd>{count(h.numLabelPairs)}</dd></div>
      <div><dt>Chunks</dt><dd>{count(h.chunkCount)}</dd></div>
      {h.minTime <= h.maxTime && <><div><dt>From</dt><dd class="time">{timeText(h.minTime)}</dd></div><div><dt>To</dt><dd class="time">{timeText(h.maxTime)}</dd></div></>}
    </dl></section>
    <div class="bar"><label>Show the largest <select value={limit} onChange={(e) => setLimit(e.currentTarget.value)}>
      {['10', '25', '100'].map((n) => <option key={n}>{n}</option>)}</select></label></div>
    <div class="columns">
      <Bars kind={kinds.metric} rows={data.seriesCountByMetricName} total={h.numSeries} />
      <Bars kind={kinds.label} rows={data.labelValueCountByLabelName} />
      <Bars kind={kinds.pair} rows={data.seriesCountByLabelValuePair} total={h.numSeries} />
      <Bars kind={kinds.bytes} rows={data.memoryInBytesByLabelName} />
    </div>
    <Blocks />
  </>;
}
