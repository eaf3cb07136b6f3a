// The query's text with completion: metrics, functions, labels and values, from lists that the server gives.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ask } from './api';
import { history } from './querystate';

const functions = ('abs absent absent_over_time acos acosh asin asinh atan atanh avg avg_over_time bottomk ceil changes '
  + 'clamp clamp_max clamp_min cos cosh count count_over_time count_values day_of_month day_of_week day_of_year '
  + 'days_in_month deg delta deriv double_exponential_smoothing exp floor group histogram_avg histogram_count '
  + 'histogram_fraction histogram_quantile histogram_stddev histogram_stdvar histogram_sum hour idelta increase irate '
  + 'label_join label_replace last_over_time ln log10 log2 mad_over_time max max_over_time min min_over_time minute month '
  + 'pi predict_linear present_over_time quantile quantile_over_time rad rate resets round scalar sgn sin sinh sort '
  + 'sort_by_label sort_by_label_desc sort_desc sqrt stddev stddev_over_time stdvar stdvar_over_time sum sum_over_time '
  + 'tan tanh time timestamp topk vector year').split(' ');
const words = ('and bool by group_left group_right ignoring offset on or unless without').split(' ');

interface Option { text: string; kind: string }
interface Place { kind: 'any' | 'label' | 'value'; start: number; word: string; label?: string; metric?: string }

// Where the caret is: in a string that is a label's value, among label names, or anywhere else.
function placeOf(text: string, caret: number): Place | null {
  let quote = '', quoteAt = 0, brace = -1, depth = 0, labelList = false;
  for (let i = 0; i < caret; i++) {
    const c = text[i];
    if (quote) {
      if (c === '\\' && quote !== '`') i++;
      else if (c === quote) quote = '';
    } else if (c === '"' || c === "'" || c === '`') { quote = c; quoteAt = i; }
    else if (c === '{') brace = i;
    else if (c === '}') brace = -1;
    else if (c === '(') { depth++; labelList = /\b(by|without|on|ignoring|group_left|group_right)\s*$/i.test(text.slice(0, i)); }
    else if (c === ')') { depth--; labelList = false; }
    else if (c === '#') { const end = text.indexOf('\n', i); if (end < 0 || end >= caret) return null; i = end; }
  }
  const before = text.slice(0, caret);
  const metric = brace >= 0 ? /([a-zA-Z_:][\w:]*)\s*$/.exec(text.slice(0, brace))?.[1] : undefined;
  if (quote) {
    const label = brace >= 0 ? /([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*$/.exec(text.slice(0, quoteAt))?.[1] : undefined;
    return label ? { kind: 'value', start: quoteAt + 1, word: before.slice(quoteAt + 1), label, metric } : null;
  }
  const word = /[a-zA-Z_:][\w:]*$/.exec(before)?.[0] ?? '';
  if (brace >= 0 || labelList) return { kind: 'label', start: caret - word.length, word, metric };
  return /[\d.\])]$/.test(before) || (brace < 0 && /\[[^\]]*$/.test(before)) ? null
    : { kind: 'any', start: caret - word.length, word };
}

const lists = new Map<string, { at: number; list: Promise<string[]> }>();
function listOf(path: string, params: Record<string, string> = {}): Promise<string[]> {
  const key = path + JSON.stringify(params), had = lists.get(key);
  if (had && Date.now() - had.at < 60000) return had.list;
  const list = ask<string[]>(path, { limit: '50000', ...params }).then((a) => a.data, () => []);
  lists.set(key, { at: Date.now(), list });
  return list;
}

async function candidates(p: Place): Promise<Option[]> {
  const scope: Record<string, string> = p.metric ? { 'match[]': p.metric } : {};
  if (p.kind === 'label') return (await listOf('labels', scope)).map((text) => ({ text, kind: 'label' }));
  if (p.kind === 'value')
    return (await listOf(`label/${encodeURIComponent(p.label!)}/values`, scope)).map((text) => ({ text, kind: 'value' }));
  const metrics = await listOf('label/__name__/values');
  return [...metrics.map((text) => ({ text, kind: 'metric' })), ...functions.map((text) => ({ text, kind: 'function' })),
    ...words.map((text) => ({ text, kind: 'word' }))];
}

// What starts with the word first, then what contains it, then what has its letters in order.
function best(all: Option[], word: string): Option[] {
  const w = word.toLowerCase(), found: [number, Option][] = [];
  for (const o of all) {
    const t = o.text.toLowerCase(), at = t.indexOf(w);
    if (at >= 0) found.push([(at === 0 ? 0 : t[at - 1] === '_' ? 1 : 2) * 1000 + t.length, o]);
    else {
      let i = 0;
      for (const c of t) if (c === w[i]) i++;
      if (w.length > 2 && i === w.length) found.push([3000 + t.length, o]);
    }
  }
  return found.sort((a, b) => a[0] - b[0] || a[1].text.localeCompare(b[1].text)).slice(0, 40).map((x) => x[1]);
}

const helps = new Map<string, Promise<string>>();
function helpOf(metric: string): Promise<string> {
  let h = helps.get(metric);
  if (!h) {
    h = ask<Record<string, { type: string; help: string }[]>>('metadata', { metric }).then((a) => {
      const m = a.data[metric]?.[0];
      return m ? `${m.type} · ${m.help}` : '';
    }, () => '');
    helps.set(metric, h);
  }
  return h;
}

export function QueryBox({ value, onValue, onRun, label, first }:
  { value: string; onValue: (v: string) => void; onRun: (v: string) => void; label: string; first: boolean }) {
  const box = useRef<HTMLTextAreaElement>(null);
  const [options, setOptions] = useState<Option[]>([]);
  const [at, setAt] = useState(-1);
  const [help, setHelp] = useState('');
  const [past, setPast] = useState<string[] | null>(null);
  const place = useRef<Place | null>(null);
  const id = `options-${label.replace(/\W/g, '')}`;
  const list = useRef<HTMLUListElement>(null);

  useLayoutEffect(() => {
    const b = box.current!;
    b.style.height = 'auto';
    b.style.height = `${Math.min(b.scrollHeight + 2, 320)}px`;
  }, [value]);
  useEffect(() => {
    setHelp('');
    list.current?.children[at]?.scrollIntoView({ block: 'nearest' });
    const o = options[at];
    if (o?.kind !== 'metric') return;
    let live = true;
    void helpOf(o.text).then((h) => live && setHelp(h));
    return () => { live = false; };
  }, [at, options]);

  const close = () => { setOptions([]); setAt(-1); };
  const complete = async (force = false) => {
    const b = box.current!;
    const p = placeOf(b.value, b.selectionStart);
    place.current = p;
    if (!p || (!force && p.kind === 'any' && p.word.length < 2)) return close();
    const all = await candidates(p);
    if (place.current !== p || document.activeElement !== b) return;
    const found = best(all, p.word);
    setOptions(found.length === 1 && found[0].text === p.word ? [] : found);
    setAt(-1);
  };
  const take = (o: Option) => {
    const b = box.current!, p = place.current!;
    let text = o.text;
    if (p.kind === 'value') text = text.replace(/["\\]/g, '\\$&').replace(/\n/g, '\\n');
    if (o.kind === 'function' && b.value[b.selectionStart] !== '(') text += '(';
    b.setRangeText(text, p.start, b.selectionStart, 'end');
    onValue(b.value);
    close();
    b.focus();
  };
  const onKey = (e: KeyboardEvent) => {
    if (options.length && (e.key === 'ArrowDown' || e.key === 'ArrowUp')) {
      e.preventDefault();
      setAt((i) => (i + (e.key === 'ArrowDown' ? 1 : -1) + options.length + (i < 0 && e.key === 'ArrowUp' ? 1 : 0)) % options.length);
    } else if (options.length && (e.key === 'Tab' || (e.key === 'Enter' && at >= 0))) {
      e.preventDefault();
      take(options[Math.max(at, 0)]);
    } else if (e.key === 'Escape' && options.length) {
      e.preventDefault();
      e.stopPropagation();
      close();
    } else if (e.key === ' ' && e.ctrlKey) {
      e.preventDefault();
      void complete(true);
    } else if (e.key === 'Enter' && !e.shiftKey) {
      e.preventDefault();
      close();
      onRun(box.current!.value);
    }
  };
  return <div class="querybox">
    <textarea ref={box} rows={1} value={value} aria-label={label} placeholder="Expression, for example rate(http_requests_total[5m])"
      spellcheck={false} autocomplete="off" autocapitalize="off" data-search={first || undefined} aria-autocomplete="list"
      aria-controls={options.length ? id : undefined} aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined}
      onInput={(e) => { onValue(e.currentTarget.value); void complete(); }} onKeyDown={onKey}
      onBlur={() => window.setTimeout(close, 150)} />
    <button type="button" class="quiet" aria-expanded={past !== null} aria-label="History"
      onClick={() => setPast(past ? null : history())}>History</button>
    <button type="button" class="primary" onClick={() => onRun(value)}>Run</button>
    {options.length > 0 && <div class="options"><ul id={id} role="listbox" aria-label="Completions" ref={list}>
      {options.map((o, i) => <li key={o.kind + o.text} id={`${id}-${i}`} role="option" aria-selected={i === at}
        onMouseDown={(e) => { e.preventDefault(); take(o); }}><span>{o.text}</span><span class="kind">{o.kind}</span></li>)}</ul>
      {help && <p class="help">{help}</p>}</div>}
    {past && <div class="options"><ul aria-label="History">{past.length === 0 && <li class="dim">No query has been run here yet.</li>}
      {past.map((x) => <li key={x}><button type="button" onClick={() => { setPast(null); onValue(x); onRun(x); }}>
        <code>{x}</code></button></li>)}</ul></div>}
  </div>;
}
