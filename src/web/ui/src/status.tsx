// Status: what this process is, how it was started, what it stores.
import { useState } from 'preact/hooks';
import { usePoll } from './api';
import { ago, timeText } from './format';
import { CopyButton, Empty, Loading, Many, Problem, Search, matchesText } from './parts';
import { Storage } from './storage';

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
    {rows.length ? <section class="card"><dl class="pairs wide mono"><Many items={rows} part={500} row={([k, v]) =>
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
