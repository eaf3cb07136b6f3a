// Where the notification of an alert stands, in a few words, and in all of them.
import type { Delivery } from './api';
import { ago, clockText, timeText } from './format';

type Tone = 'good' | 'warn' | 'bad' | 'idle';
const tones: Record<Delivery['state'], Tone> = { sent: 'good', waiting: 'idle', retrying: 'warn', failed: 'bad', unrouted: 'bad',
  silenced: 'idle', inhibited: 'idle' };

// An Alertmanager is known by its host, a receiver by its name.
const nameOf = (d: Delivery) => d.receiver || /\/\/([^/]+)/.exec(d.integration)?.[1] || d.integration;
const soon = (seconds?: number) => (seconds ? Math.max(0, seconds * 1000 - Date.now()) : 0);

function textOf(d: Delivery): string {
  switch (d.state) {
    case 'sent': return `sent ${clockText((d.sentAt ?? d.at ?? 0) * 1000)}`;
    case 'waiting': return soon(d.nextAt) > 500 ? `in ${ago(soon(d.nextAt))}` : 'next';
    case 'retrying': return `retry ${d.attempts ?? ''} after ${d.lastError || 'an error'}`;
    case 'failed': return `failed: ${d.lastError || 'given up'}`;
    case 'unrouted': return 'goes nowhere';
    default: return d.state;
  }
}

// The worst first; of many only the first.
export function Chips({ all }: { all: Delivery[] }) {
  const rank = { bad: 0, warn: 1, idle: 2, good: 3 };
  const sorted = [...all].sort((a, b) => rank[tones[a.state]] - rank[tones[b.state]]);
  return <>{sorted.slice(0, 3).map((d, i) => <span key={i} class={`chip ${tones[d.state]}`} title={d.lastError || undefined}>
    <span class="dot" aria-hidden="true" />{d.state !== 'unrouted' && <b>{nameOf(d)}</b>} {textOf(d)}</span>)}
    {sorted.length > 3 && <span class="chip idle">and {sorted.length - 3} more</span>}</>;
}

function Story({ d }: { d: Delivery }) {
  const parts = [
    d.state === 'unrouted' ? d.lastError || 'No route leads to a receiver.' : '',
    d.sentAt ? `last arrived ${timeText(d.sentAt * 1000)}` : d.state === 'unrouted' ? '' : 'nothing has arrived yet',
    d.state === 'retrying' || d.state === 'failed' ? `attempt ${d.attempts ?? 1} failed${d.at ? ` at ${clockText(d.at * 1000)}` : ''}: ${d.lastError}` : '',
    d.nextAt && d.state !== 'unrouted' ? `${d.state === 'sent' ? 'again' : 'next'} ${d.state === 'sent' ? 'at' : 'attempt at'} ${timeText(d.nextAt * 1000)} if it still fires` : '',
  ].filter(Boolean);
  return <li class={tones[d.state]}><span class="chip"><span class="dot" aria-hidden="true" />{d.state}</span>
    <span>{d.receiver ? <><strong>{d.receiver}</strong> <span class="dim">{d.integration}</span>{d.route && <> by route <code>{d.route}</code></>}</>
      : <code>{d.integration}</code>}<span class="dim"> · {parts.join('; ')}</span></span></li>;
}

export const Stories = ({ all }: { all: Delivery[] }) => <ul class="stories">{all.map((d, i) => <Story key={i} d={d} />)}</ul>;
