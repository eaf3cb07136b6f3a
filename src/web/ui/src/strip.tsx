// The health strip: what is wrong or right with this server, on every page; each part leads to its page.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Summary } from './api';
import { ago, bytes, clockText, count, plural, short, timeText } from './format';
import { type Rows, useFeed } from './live';
import { type RunningQuery, useRunning } from './queries';

type Tone = 'good' | 'warn' | 'bad' | 'idle';
interface Chip { name: string; text: string; tone: Tone; href: string; title?: string }

// Samples a second over the last minute, as far as the page has seen it.
function useRate(s: Summary | undefined, now: number): number | undefined {
  const seen = useRef<{ at: number; n: number }[]>([]);
  if (!s?.tsdb) return undefined;
  const list = seen.current, n = s.tsdb.samplesAppended, last = list[list.length - 1];
  if (!last || n < last.n || s.nowMs - last.at > 120000) seen.current = [{ at: s.nowMs, n }];
  else if (s.nowMs > last.at) list.push({ at: s.nowMs, n });
  while (list.length > 2 && list[1].at < now - 60000) list.shift();
  const first = seen.current[0], seconds = (now - first.at) / 1000;
  return seconds > 1.8 ? (n - first.n) / seconds : undefined;
}

function chips(s: Summary, now: number, rate?: number, running?: Rows<RunningQuery>): Chip[] {
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
  const queued = running ? [...running.values()].filter((q) => q.state === 'queued').length : 0;
  if (running) all.push({ name: 'Queries', href: 'queries', tone: queued ? 'warn' : 'idle',
    text: queued ? `${count(running.size - queued)} running, ${count(queued)} waiting` : running.size ? `${count(running.size)} running` : 'idle' });
  all.push({ name: 'Config', href: 'config', tone: s.reloadOk ? 'good' : 'bad',
    text: s.reloadOk ? `ok ${clockText(s.lastReloadMs)}` : 'last reload failed', title: timeText(s.lastReloadMs) });
  all.push({ name: 'Up', href: 'status', tone: 'idle', text: ago(now - s.startMs), title: `since ${timeText(s.startMs)}` });
  return all;
}

export function Strip() {
  const { data, error, at } = useFeed<Summary, Summary>('summary', 'status/summary', {}, (s) => s);
  const running = useRunning().data;
  const [, setTick] = useState(0);
  useEffect(() => {
    const timer = window.setInterval(() => setTick((n) => n + 1), 2000);
    return () => window.clearInterval(timer);
  }, []);
  const now = data ? data.nowMs + (Date.now() - at) : 0;
  const rate = useRate(data, now);
  const list: Chip[] = error ? [{ name: 'Server', text: error.message, tone: 'bad', href: 'status' }]
    : data ? chips(data, now, rate, running) : [{ name: 'Server', text: '…', tone: 'idle', href: 'status' }];
  return <nav class="strip" aria-label="Health">{list.map((c) =>
    <a key={c.name} href={c.href} class={c.tone} title={c.title}><span class="dot" aria-hidden="true" />
      <span class="name">{c.name}</span><span class="text">{c.text}</span></a>)}</nav>;
}
