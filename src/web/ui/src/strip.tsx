// The health strip: what is wrong or right with this server, on every page; each part leads to its page.
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Summary, usePoll } from './api';
import { ago, bytes, clockText, count, plural, short, timeText } from './format';

type Tone = 'good' | 'warn' | 'bad' | 'idle';
interface Chip { name: string; text: string; tone: Tone; href: string; title?: string }

// Samples a second, from the two newest answers.
function useRate(s?: Summary): number | undefined {
  const last = useRef<{ at: number; n: number; rate?: number } | undefined>(undefined);
  if (!s?.tsdb) return undefined;
  const before = last.current, n = s.tsdb.samplesAppended;
  if (!before || before.at < s.nowMs) {
    const seconds = before ? (s.nowMs - before.at) / 1000 : 0;
    const fresh = before && n >= before.n && seconds > 0 ? (n - before.n) / seconds : undefined;
    const rate = fresh === undefined ? before?.rate
      : before?.rate === undefined ? fresh : before.rate * 0.5 + fresh * 0.5;
    last.current = { at: s.nowMs, n, rate };
  }
  return last.current?.rate;
}

function chips(s: Summary, rate?: number): Chip[] {
  const all: Chip[] = [];
  if (!s.ready) {
    const { min, max, current } = s.replay;
    const part = max > min ? ` ${Math.round(((current - min) / (max - min)) * 100)} %` : '';
    return [{ name: 'Starting', text: `reading the journal${part}`, tone: 'warn', href: 'status' }];
  }
  if (s.stopping) return [{ name: 'Stopping', text: 'no new work is taken', tone: 'warn', href: 'status' }];
  if (s.rules) {
    const r = s.rules;
    all.push({ name: 'Alerts', href: './', tone: r.firing ? 'bad' : r.pending ? 'warn' : 'good',
      text: r.firing || r.pending ? [r.firing && `${count(r.firing)} firing`, r.pending && `${count(r.pending)} pending`]
        .filter(Boolean).join(', ') : 'none' });
  }
  if (s.targets) {
    const { up, down, unknown } = s.targets, n = up + down + unknown;
    all.push({ name: 'Targets', href: down ? 'targets?state=down' : 'targets', tone: down ? 'bad' : n ? 'good' : 'idle',
      text: !n ? 'none' : down ? `${count(down)} of ${count(n)} down` : `${count(up)} up${unknown ? `, ${unknown} new` : ''}` });
  }
  if (s.rules) {
    const r = s.rules;
    all.push({ name: 'Rules', href: r.failing ? 'rules?state=err' : 'rules',
      tone: r.failing ? 'bad' : r.slowGroups ? 'warn' : r.rules ? 'good' : 'idle',
      text: r.failing ? `${count(r.failing)} failing` : r.slowGroups ? plural(r.slowGroups, 'slow group')
        : r.rules ? `${count(r.rules)} ok` : 'none' });
  }
  all.push({ name: 'Ingest', href: 'tsdb-status', tone: 'idle', text: rate === undefined ? '…' : `${short(rate)}/s`,
    title: 'Samples a second' });
  if (s.tsdb) all.push({ name: 'Series', href: 'tsdb-status', tone: 'idle', text: short(s.tsdb.series),
    title: `${count(s.tsdb.series)} in memory; ${plural(s.tsdb.blocks, 'block')}, ${bytes(s.tsdb.blocksBytes)}` });
  all.push({ name: 'Config', href: 'config', tone: s.reloadOk ? 'good' : 'bad',
    text: s.reloadOk ? `ok ${clockText(s.lastReloadMs)}` : 'last reload failed', title: timeText(s.lastReloadMs) });
  all.push({ name: 'Up', href: 'status', tone: 'idle', text: ago(s.nowMs - s.startMs), title: `since ${timeText(s.startMs)}` });
  return all;
}

export function Strip() {
  const [seconds, setSeconds] = useState(1.5); // a rate needs two answers
  const { data, error } = usePoll<Summary>('status/summary', seconds);
  const rate = useRate(data);
  useEffect(() => { if (rate !== undefined) setSeconds(5); }, [rate !== undefined]);
  const list: Chip[] = error ? [{ name: 'Server', text: error.message, tone: 'bad', href: 'status' }]
    : data ? chips(data, rate) : [{ name: 'Server', text: '…', tone: 'idle', href: 'status' }];
  return <nav class="strip" aria-label="Health">{list.map((c) =>
    <a key={c.name} href={c.href} class={c.tone} title={c.title}><span class="dot" aria-hidden="true" />
      <span class="name">{c.name}</span><span class="text">{c.text}</span></a>)}</nav>;
}
