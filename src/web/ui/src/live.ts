// What changes by itself comes by one stream of server-sent events (docs/live.md): each topic first whole, then as
// differences; a stream that broke is taken up where it ended. Where none can be had, pages ask every few seconds. The
// stream is read with fetch: it tells a refusal from a failure, and lets go while the page is hidden.
import { useEffect, useState } from 'preact/hooks';
import { type Polled, usePoll } from './api';

export type Topic = 'summary' | 'alerts' | 'targets' | 'rules' | 'queries';
export type Rows<T> = Map<string, T>;

interface Store { value?: unknown; at: number; listeners: Set<() => void> }
interface Message { full?: unknown; set?: Record<string, unknown>; del?: string[] }

const stores = new Map<Topic, Store>();
const storeOf = (t: Topic): Store => {
  let s = stores.get(t);
  if (!s) stores.set(t, s = { at: 0, listeners: new Set() });
  return s;
};
const wanted = () => [...stores].filter(([, s]) => s.listeners.size > 0).map(([t]) => t).sort();

let asked: string[] = [], lastId = '', broken = false, current: AbortController | undefined;
let planned = 0, tries = 0, silence = 0;

function setBroken(on: boolean) {
  if (broken === on) return;
  broken = on;
  for (const s of stores.values()) for (const f of s.listeners) f();
}

function apply(topic: Topic, m: Message) {
  const s = storeOf(topic);
  if (m.full !== undefined) {
    s.value = topic === 'summary' ? m.full : new Map(Object.entries(m.full as object));
  } else {
    const rows = new Map(s.value as Rows<unknown> | undefined);
    for (const [k, row] of Object.entries(m.set ?? {})) rows.set(k, row);
    for (const k of m.del ?? []) rows.delete(k);
    s.value = rows;
  }
  s.at = Date.now();
  for (const f of s.listeners) f();
}

function takeEvent(text: string) {
  let topic = '', data = '', id = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('event: ')) topic = line.slice(7);
    else if (line.startsWith('data: ')) data += line.slice(6);
    else if (line.startsWith('id: ')) id = line.slice(4);
  }
  if (topic && data) apply(topic as Topic, JSON.parse(data) as Message);
  if (id) lastId = id;
}

async function readStream(topics: string[], abort: AbortController) {
  const answer = await fetch(`api/v1/live?topics=${topics.join(',')}`,
    { signal: abort.signal, cache: 'no-store', headers: lastId ? { 'Last-Event-ID': lastId } : {} });
  if (!answer.ok || !answer.body) throw new Error(String(answer.status));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const alive = () => {
    window.clearTimeout(silence);
    silence = window.setTimeout(() => abort.abort(), 40000); // a sign of life is promised every 15 s
  };
  let rest = '';
  for (alive(); ;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    let from = Math.max(0, rest.length - 1), start = 0, at: number;
    rest += value;
    while ((at = rest.indexOf('\n\n', from)) >= 0) {
      takeEvent(rest.slice(start, at));
      start = from = at + 2;
      tries = 0;
      setBroken(false);
    }
    rest = rest.slice(start);
  }
}

async function open() {
  const topics = wanted();
  if (document.hidden || !topics.length) return;
  if (topics.join() !== asked.join()) lastId = ''; // differences are told for all topics together
  asked = topics;
  const abort = current = new AbortController();
  try {
    await readStream(topics, abort);
  } catch { /* told below, however it ended */ }
  if (current !== abort) return;
  current = undefined;
  if (++tries > 1) setBroken(true);
  plan(Math.min(30000, 500 * 2 ** tries));
}

function plan(ms: number) {
  window.clearTimeout(planned);
  planned = window.setTimeout(() => {
    const old = current;
    current = undefined;
    old?.abort();
    void open();
  }, ms);
}

let hiding = 0;
document.addEventListener('visibilitychange', () => {
  window.clearTimeout(hiding);
  if (document.hidden) hiding = window.setTimeout(() => { const c = current; current = undefined; c?.abort(); }, 30000);
  else if (!current) plan(0);
});

// A page that goes leaves the stream as it is; one that comes with another topic opens it anew.
function listen(topic: Topic, f: () => void): () => void {
  storeOf(topic).listeners.add(f);
  if (!current || !asked.includes(topic)) plan(0);
  return () => {
    storeOf(topic).listeners.delete(f);
    window.setTimeout(() => { if (current && asked.length > wanted().length) plan(0); }, 5000);
  };
}

export interface Live<T> { value?: T; at: number; off: boolean }

// off: to be asked for instead, because the stream cannot be had or tells nothing.
export function useLive<T>(topic: Topic): Live<T> {
  const [, setRound] = useState(0);
  const [late, setLate] = useState(false);
  useEffect(() => {
    const end = listen(topic, () => setRound((n) => n + 1));
    const timer = window.setTimeout(() => setLate(true), 4000);
    return () => { end(); window.clearTimeout(timer); };
  }, [topic]);
  const s = storeOf(topic);
  return { value: s.value as T | undefined, at: s.at, off: broken || (late && s.value === undefined) };
}

// The topic as long as it is told, else the answer of `path`, brought into the same form.
export function useFeed<T, A>(topic: Topic, path: string, params: Record<string, string>, rows: (a: A) => T): Omit<Polled<T>, 'again'> {
  const live = useLive<T>(topic);
  const polled = usePoll<A>(live.off ? path : '', 5, params);
  if (!live.off) return { data: live.value, at: live.at };
  return { data: polled.data ? rows(polled.data) : live.value, error: polled.error, at: polled.at || live.at };
}
