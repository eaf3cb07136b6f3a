// Numbers, durations and times as text. Clocks have 24 hours; UTC or local is the reader's choice.
import type { Labels } from './api';

let utc = localStorage.getItem('narthex.utc') !== 'false';
export const isUtc = () => utc;
export function setUtc(on: boolean) {
  utc = on;
  localStorage.setItem('narthex.utc', String(on));
}

const two = (n: number) => String(n).padStart(2, '0');
export interface Clock { y: number; mo: number; d: number; h: number; mi: number; s: number; ms: number }
export function clock(ms: number): Clock {
  const t = new Date(ms);
  return utc
    ? { y: t.getUTCFullYear(), mo: t.getUTCMonth() + 1, d: t.getUTCDate(), h: t.getUTCHours(), mi: t.getUTCMinutes(),
        s: t.getUTCSeconds(), ms: t.getUTCMilliseconds() }
    : { y: t.getFullYear(), mo: t.getMonth() + 1, d: t.getDate(), h: t.getHours(), mi: t.getMinutes(),
        s: t.getSeconds(), ms: t.getMilliseconds() };
}
export function timeText(ms: number): string {
  const c = clock(ms);
  return `${c.y}-${two(c.mo)}-${two(c.d)} ${two(c.h)}:${two(c.mi)}:${two(c.s)}`;
}
export function clockText(ms: number): string {
  const c = clock(ms);
  return `${two(c.h)}:${two(c.mi)}:${two(c.s)}`;
}
// What a person typed, in the zone that is shown; NaN when it is no time.
export function parseTime(text: string, asUtc = utc): number {
  const m = /^\s*(\d{4})-(\d\d?)-(\d\d?)(?:[ T](\d\d?)(?::(\d\d?)(?::(\d\d?))?)?)?Z?\s*$/.exec(text);
  if (!m) return /^\s*\d{9,11}(\.\d+)?\s*$/.test(text) ? Number(text) * 1000 : NaN;
  const [y, mo, d, h, mi, s] = m.slice(1).map((x) => Number(x ?? 0));
  return asUtc ? Date.UTC(y, mo - 1, d, h, mi, s) : new Date(y, mo - 1, d, h, mi, s).getTime();
}

// "2h 5m": the two largest units, as a reader needs them.
export function ago(ms: number): string {
  let s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s}s`;
  const parts: string[] = [];
  for (const [unit, size] of [['d', 86400], ['h', 3600], ['m', 60], ['s', 1]] as const) {
    const n = Math.floor(s / size);
    s -= n * size;
    if (n) parts.push(`${n}${unit}`);
    else if (parts.length) break;
    if (parts.length === 2) break;
  }
  return parts.join(' ');
}
export const since = (rfc3339: string, now = Date.now()) =>
  rfc3339.startsWith('0001-') ? 'never' : `${ago(now - Date.parse(rfc3339))}`;

// Prometheus durations: 1h30m; seconds, NaN when it is none.
export function parseDuration(text: string): number {
  const m = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/.exec(text.trim());
  if (!m || text.trim() === '') return /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : NaN;
  const sizes = [31536000, 604800, 86400, 3600, 60, 1, 0.001];
  return sizes.reduce((sum, size, i) => sum + Number(m[i + 1] ?? 0) * size, 0);
}
export function durationText(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)}ms`;
  let s = Math.round(seconds), text = '';
  for (const [unit, size] of [['d', 86400], ['h', 3600], ['m', 60], ['s', 1]] as const) {
    if (Math.floor(s / size)) text += `${Math.floor(s / size)}${unit}`;
    s %= size;
  }
  return text || '0s';
}
// How long something took.
export function tookText(seconds: number): string {
  if (seconds === 0) return '0 ms';
  if (seconds < 0.001) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  return `${seconds.toFixed(2)} s`;
}

export function short(v: number): string {
  if (!Number.isFinite(v)) return Number.isNaN(v) ? 'NaN' : v > 0 ? '+Inf' : '-Inf';
  const a = Math.abs(v);
  if (a !== 0 && a < 1e-3) return v.toExponential(2);
  for (const [unit, size] of [['P', 1e15], ['T', 1e12], ['G', 1e9], ['M', 1e6], ['k', 1e3]] as const)
    if (a >= size) return `${trim((v / size).toPrecision(4))}${unit}`;
  return trim(v.toPrecision(4));
}
const trim = (s: string) => (s.includes('.') && !s.includes('e') ? s.replace(/\.?0+$/, '') : s);
export function bytes(v: number): string {
  for (const [unit, size] of [['TiB', 2 ** 40], ['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 2 ** 10]] as const)
    if (v >= size) return `${trim((v / size).toPrecision(3))} ${unit}`;
  return `${v} B`;
}
export const count = (n: number) => n.toLocaleString('en-US').replace(/,/g, '\u202f');
export const plural = (n: number, one: string, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

const bare = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
export function seriesText(m: Labels): string {
  const name = m.__name__;
  const rest = Object.entries(m).filter(([k]) => k !== '__name__')
    .map(([k, v]) => `${/^[a-zA-Z_]\w*$/.test(k) ? k : JSON.stringify(k)}=${JSON.stringify(v)}`);
  if (name !== undefined && !bare.test(name)) return `{${[JSON.stringify(name), ...rest].join(', ')}}`;
  return rest.length || !name ? `${name ?? ''}{${rest.join(', ')}}` : name;
}
export const severityRank = (s?: string) =>
  ({ critical: 0, page: 0, emergency: 0, error: 1, high: 1, warning: 2, warn: 2, info: 4, none: 5 }[s ?? ''] ?? 3);

// By bytes: thousands of rows are sorted with each event, and the language's own order is slow.
export const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
