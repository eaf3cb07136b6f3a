// Status: what this process is, how it was started, what it stores.
import { useState } from 'preact/hooks';
import { usePoll } from './api';
import { ago, bytes, count, timeText } from './format';
import { CopyButton, Empty, Loading, Many, Problem, Search, exploreLink, matchesText } from './parts';

const tabs: [string, string][] = [['status', 'Runtime'], ['tsdb-status', 'Storage'], ['config', 'Configuration'],
  ['flags', 'Flags'], ['alertmanager-discovery', 'Alertmanagers']];

const Pairs = ({ rows }: { rows: [string, string][] }) =>
  <dl class="pairs wide">{rows.map(([k, v]) => <div key={k}><dt>{k}</dt><dd class="num">{v}</dd></div>)}</dl>;

interface RuntimeInfo { startTime: string; CWD: string; hostname: string; serverTime: string; reloadConfigSuccess: boolean;
  lastConfigTime: string; storageRetention: string }

function Runtime() {
  const info = usePoll<RuntimeInfo>('status/runtimeinfo', 5);
  const build = usePoll<Record<string, string>>('status/buildinfo', 0);
  if (info.error && !info.data) return <Problem error={info.error} />;
  if (!info.data || !build.data) return <Loading />;
  const r = info.data, b = build.data;
  return <div class="columns">
    <section class="card"><h2>Runtime</h2><Pairs rows={[
      ['Started', timeText(Date.parse(r.startTime))], ['Running for', ago(Date.parse(r.serverTime) - Date.parse(r.startTime))],
      ['Server time', timeText(Date.parse(r.serverTime))], ['Host', r.hostname], ['Working directory', r.CWD],
      ['Retention', r.storageRetention],
      ['Configuration', `${r.reloadConfigSuccess ? 'loaded' : 'last reload failed; in force since'} ${timeText(Date.parse(r.lastConfigTime))}`],
    ]} /></section>
    <section class="card"><h2>Build</h2><Pairs rows={[
      ['Application', b.application ?? ''], ['Version', b.revision], ['Speaks the API of', `Prometheus ${b.version}`],
    ]} /><p class="links"><a href="metrics" target="_blank">Own metrics</a> <a href="-/ready" target="_blank">Ready</a> <a href="-/healthy" target="_blank">Healthy</a></p></section>
  </div>;
}

interface Count { name: string; value: number }
interface TsdbStatus { headStats: { numSeries: number; numLabelPairs: number; chunkCount: number; minTime: number; maxTime: number };
  seriesCountByMetricName: Count[]; labelValueCountByLabelName: Count[]; memoryInBytesByLabelName: Count[];
  seriesCountByLabelValuePair: Count[] }
interface Block { ulid: string; minTime: number; maxTime: number; compaction: { level: number };
  stats: { numSamples: number; numSeries: number; numChunks: number; numBytes: number } }

const quote = (s: string) => JSON.stringify(s);

function Bars({ title, rows, total, format = count, link }:
  { title: string; rows: Count[]; total?: number; format?: (n: number) => string; link?: (name: string) => string }) {
  const max = Math.max(1, ...rows.map((r) => r.value));
  return <section class="card"><h2>{title}</h2>
    <table class="bars"><tbody>{rows.map((r) => <tr key={r.name}>
      <th scope="row">{link ? <a href={link(r.name)}>{r.name}</a> : r.name}</th>
      <td class="meter"><meter min={0} max={max} value={r.value} aria-label={`${r.name}: ${r.value}`} /></td>
      <td class="num">{format(r.value)}</td>
      {total ? <td class="num dim">{((r.value / total) * 100).toFixed(1)} %</td> : null}
    </tr>)}</tbody></table></section>;
}

function Storage() {
  const [limit, setLimit] = useState('10');
  const { data, error } = usePoll<TsdbStatus>('status/tsdb', 15, { limit });
  const { data: blocks } = usePoll<{ blocks: Block[] }>('status/tsdb/blocks', 15);
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
      <Bars title="Series by metric" rows={data.seriesCountByMetricName} total={h.numSeries} link={(n) => exploreLink(`{__name__=${quote(n)}}`)} />
      <Bars title="Values by label" rows={data.labelValueCountByLabelName} link={(n) => exploreLink(`count by (${/^[a-zA-Z_]\w*$/.test(n) ? n : quote(n)}) ({__name__!=""})`)} />
      <Bars title="Series by label pair" rows={data.seriesCountByLabelValuePair} total={h.numSeries} link={(n) => {
        const at = n.indexOf('=');
        return exploreLink(`count by (__name__) ({${n.slice(0, at)}=${quote(n.slice(at + 1))}})`);
      }} />
      <Bars title="Bytes by label" rows={data.memoryInBytesByLabelName} format={bytes} />
    </div>
    <section class="card"><h2>Blocks</h2>{blocks?.blocks.length ? <div class="scroll" role="region" aria-label="Blocks" tabIndex={0}><table class="grid"><thead><tr><th>Block</th><th>From</th><th>To</th>
      <th>Level</th><th>Series</th><th>Samples</th><th>Size</th></tr></thead><tbody>{blocks.blocks.map((b) => <tr key={b.ulid}>
        <td><code>{b.ulid}</code></td><td class="num">{timeText(b.minTime)}</td><td class="num">{timeText(b.maxTime)}</td>
        <td class="num">{b.compaction.level}</td><td class="num">{count(b.stats.numSeries)}</td>
        <td class="num">{count(b.stats.numSamples)}</td><td class="num">{bytes(b.stats.numBytes)}</td></tr>)}</tbody></table></div>
      : <p class="dim">No block has been cut yet: all is in memory and in the journal.</p>}</section>
  </>;
}

// Keys, strings and comments of a YAML line told apart, enough to read by.
function YamlLine({ line }: { line: string }) {
  const m = /^(\s*(?:- )*)([^\s:#'"][^:#]*)(:)(\s.*|)$/.exec(line);
  return m ? <>{m[1]}<span class="y-key">{m[2]}</span>{m[3]}<span class="y-value">{m[4]}</span>{'\n'}</> : <>{line}{'\n'}</>;
}

function Config() {
  const { data, error } = usePoll<{ yaml: string }>('status/config', 0);
  if (!data) return error ? <Problem error={error} /> : <Loading />;
  return <section class="card"><h2>Configuration in force <CopyButton text={data.yaml} /></h2>
    <pre class="yaml" tabIndex={0} aria-label="Configuration">{data.yaml.replace(/\n$/, '').split('\n').map((l, i) => <YamlLine key={i} line={l} />)}</pre></section>;
}

function Flags() {
  const { data, error } = usePoll<Record<string, string>>('status/flags', 0);
  const [text, setText] = useState('');
  if (!data) return error ? <Problem error={error} /> : <Loading />;
  const rows = Object.entries(data).filter(([k, v]) => matchesText(text, k, v)).sort();
  return <><div class="bar"><Search value={text} onValue={setText} label="Filter flags" /></div>
    {rows.length ? <section class="card"><dl class="pairs wide mono"><Many items={rows} row={([k, v]) =>
      <div key={k}><dt>--{k}</dt><dd>{v || <span class="dim">empty</span>}</dd></div>} /></dl></section> : <Empty title="No flag matches." />}</>;
}

interface Managers { activeAlertmanagers: { url: string }[]; droppedAlertmanagers: { url: string }[] }

function Alertmanagers() {
  const { data, error } = usePoll<Managers>('alertmanagers', 10);
  if (!data) return error ? <Problem error={error} /> : <Loading />;
  const list = (title: string, v: { url: string }[], none: string) => <section class="card"><h2>{title}</h2>
    {v.length ? <ul class="plainlist">{v.map((m) => <li key={m.url}><code>{m.url}</code></li>)}</ul> : <p class="dim">{none}</p>}</section>;
  return <>{list('Alerts go to', data.activeAlertmanagers, 'No Alertmanager is configured or discovered.')}
    {data.droppedAlertmanagers.length > 0 && list('Dropped', data.droppedAlertmanagers, '')}</>;
}

export function StatusPage({ tab }: { tab: string }) {
  return <>
    <nav class="tabs" aria-label="Status pages">{tabs.map(([path, name]) =>
      <a key={path} href={path} aria-current={path === tab ? 'page' : undefined}>{name}</a>)}</nav>
    {tab === 'tsdb-status' ? <Storage /> : tab === 'config' ? <Config /> : tab === 'flags' ? <Flags />
      : tab === 'alertmanager-discovery' ? <Alertmanagers /> : <Runtime />}
  </>;
}
