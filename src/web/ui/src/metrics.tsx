// The metric explorer: every metric with its type and help, and for one of them its labels and their values; a click
// makes it the query.
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Series, ask } from './api';
import { count, plural } from './format';
import { Empty, Loading, Many, Search, matchesText } from './parts';

type Metadata = Record<string, { type: string; help: string; unit: string }[]>;
const quoted = (s: string) => JSON.stringify(s);
const selector = (name: string) => (/^[a-zA-Z_:][\w:]*$/.test(name) ? name : `{${quoted(name)}}`);

// Counters are looked at by their rate, classic buckets by a quantile.
function suggestion(name: string, type: string): string {
  if (name.endsWith('_bucket')) return `histogram_quantile(0.95, sum by (le) (rate(${selector(name)}[5m])))`;
  return type === 'counter' || /_(total|count|sum)$/.test(name) ? `rate(${selector(name)}[5m])` : selector(name);
}

interface Known { names: string[]; meta: Metadata }

function Labels({ name, onQuery }: { name: string; onQuery: (q: string) => void }) {
  const [series, setSeries] = useState<Series['metric'][]>();
  const [cut, setCut] = useState(false);
  useEffect(() => {
    const abort = new AbortController();
    ask<Series['metric'][]>('series', { 'match[]': `{__name__=${quoted(name)}}`, limit: '2000',
      start: String(Math.floor(Date.now() / 1000) - 3600) }, abort.signal)
      .then((a) => { setSeries(a.data); setCut(a.warnings.length > 0); }, () => { if (!abort.signal.aborted) setSeries([]); });
    return () => abort.abort();
  }, [name]);
  if (!series) return <p class="dim">Loading…</p>;
  const values = new Map<string, Map<string, number>>();
  for (const s of series)
    for (const [k, v] of Object.entries(s)) {
      if (k === '__name__') continue;
      const of = values.get(k) ?? new Map<string, number>();
      of.set(v, (of.get(v) ?? 0) + 1);
      values.set(k, of);
    }
  return <>
    <p class="dim">{cut ? `The first ${count(series.length)} series` : plural(series.length, 'series', 'series')} of the last hour</p>
    {[...values].sort((a, b) => a[1].size - b[1].size).map(([k, of]) => <div class="label-values" key={k}>
      <h3>{k} <span class="dim">{plural(of.size, 'value')}</span>
        <button type="button" class="link" onClick={() => onQuery(`sum by (${/^[a-zA-Z_]\w*$/.test(k) ? k : quoted(k)}) (${selector(name)})`)}>sum by it</button></h3>
      <p>{[...of].sort((a, b) => b[1] - a[1]).slice(0, 30).map(([v, n]) => <button type="button" class="value" key={v}
        onClick={() => onQuery(`{__name__=${quoted(name)}, ${/^[a-zA-Z_]\w*$/.test(k) ? k : quoted(k)}=${quoted(v)}}`)}>
        {v || <i>empty</i>} <span class="dim">{count(n)}</span></button>)}
      {of.size > 30 && <span class="dim">and {count(of.size - 30)} more</span>}</p></div>)}
  </>;
}

export function MetricExplorer({ onQuery, onClose }: { onQuery: (q: string) => void; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [known, setKnown] = useState<Known>();
  const [text, setText] = useState('');
  const [name, setName] = useState('');
  useEffect(() => {
    dialog.current?.showModal();
    void Promise.all([ask<string[]>('label/__name__/values').then((a) => a.data, () => []),
      ask<Metadata>('metadata').then((a) => a.data, () => ({}))]).then(([names, meta]) => setKnown({ names, meta }));
  }, []);
  const metaOf = (n: string) => known?.meta[n]?.[0] ?? known?.meta[n.replace(/_(bucket|count|sum|total|created)$/, '')]?.[0];
  const found = known?.names.filter((n) => !text || matchesText(text, n, metaOf(n)?.help ?? '')) ?? [];
  const take = (q: string) => { dialog.current?.close(); onQuery(q); };
  const m = metaOf(name);
  return <dialog ref={dialog} class="explorer" aria-label="Metrics" onClose={onClose}
    onClick={(e) => e.target === dialog.current && dialog.current?.close()}>
    <div class="bar"><Search value={text} onValue={setText} label="Search names and help" />
      <span class="dim" role="status">{known ? plural(found.length, 'metric') : ''}</span>
      <button type="button" class="quiet right" onClick={() => dialog.current?.close()}>Close</button></div>
    <div class="two"><div class="names" role="region" aria-label="Names" tabIndex={0}>{!known ? <Loading /> : found.length === 0 ? <Empty title="No metric matches." />
      : <Many items={found} rowHeight={44} row={(n) => { const of = metaOf(n); return <button type="button" key={n} aria-pressed={n === name} onClick={() => setName(n)}>
        <code>{n}</code> <span class="kind">{of?.type ?? ''}</span>{of && <span class="summary">{of.help}</span>}</button>; }} />}</div>
    <div class="of" role="region" aria-label="Metric" tabIndex={0}>{!name ? <p class="dim">Choose a metric to see its labels.</p> : <>
      <h2><code>{name}</code></h2>{m && <p>{m.help} <span class="dim">{m.type}{m.unit ? `, ${m.unit}` : ''}</span></p>}
      <p class="actions"><button type="button" class="primary" onClick={() => take(selector(name))}>Query it</button>
        {suggestion(name, m?.type ?? '') !== selector(name) && <button type="button" onClick={() => take(suggestion(name, m?.type ?? ''))}>
          <code>{suggestion(name, m?.type ?? '')}</code></button>}</p>
      <Labels name={name} onQuery={take} /></>}</div></div>
  </dialog>;
}
