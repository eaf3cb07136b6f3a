// The pieces that pages share.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ApiError, Labels } from './api';
import { count } from './format';

// Only web addresses become links; anything else a rule says stays text.
export function Text({ value }: { value: string }) {
  return /^https?:\/\/[^\s]+$/i.test(value)
    ? <a href={value} rel="noopener noreferrer" target="_blank">{value}</a> : <>{value}</>;
}

export function LabelList({ labels, skip = [] }: { labels: Labels; skip?: string[] }) {
  const shown = Object.entries(labels).filter(([k]) => !skip.includes(k));
  return <span class="labels">{shown.map(([k, v]) =>
    <span class="label" key={k}><span class="k">{k}</span><span class="eq">=</span><span class="v">{v}</span></span>)}
  </span>;
}

const words: Record<string, string> = { err: 'error' };
export const Badge = ({ state }: { state: string }) => <span class={`badge ${state}`}>{words[state] ?? state}</span>;

export const Empty = ({ title, children }: { title: string; children?: ComponentChildren }) =>
  <div class="empty"><p class="big">{title}</p>{children}</div>;

export const Problem = ({ error, children }: { error: ApiError; children?: ComponentChildren }) =>
  <div class="problem" role="alert"><strong>{error.type === 'network' ? 'No connection' : 'Error'}</strong>
    <span>{error.message}</span>{children}</div>;

export const Loading = () => <div class="loading" role="status">Loading…</div>;

export function Search({ value, onValue, label }: { value: string; onValue: (v: string) => void; label: string }) {
  return <input type="search" class="search" value={value} placeholder={label} aria-label={label} data-search
    spellcheck={false} autocomplete="off" onInput={(e) => onValue(e.currentTarget.value)} />;
}

// What a reader chose is part of the address: a link shows the same. Several names: the first is ours, the others are read.
export function useParam<T extends string>(names: string, initial: T, known?: readonly T[]): [T, (v: T) => void] {
  const all = names.split(' ');
  const [value, setValue] = useState<T>(() => {
    const given = all.flatMap((n) => new URLSearchParams(location.search).getAll(n));
    return given.length === 1 && (!known || known.includes(given[0] as T)) ? given[0] as T : initial;
  });
  return [value, (v) => {
    setValue(v);
    const p = new URLSearchParams(location.search);
    for (const n of all) p.delete(n);
    if (v !== initial) p.set(all[0], v);
    const text = p.toString();
    history.replaceState(null, '', `${location.pathname}${text && `?${text}`}`);
  }];
}

export interface Choice<T> { value: T; label: string; n?: number }
export function Choices<T extends string>({ label, value, all, onValue }:
  { label: string; value: T; all: Choice<T>[]; onValue: (v: T) => void }) {
  return <div class="choices" role="group" aria-label={label}>{all.map((c) =>
    <button type="button" key={c.value} aria-pressed={c.value === value} onClick={() => onValue(c.value)}>
      {c.label}{c.n !== undefined && <span class="n">{count(c.n)}</span>}</button>)}</div>;
}

// A part of a long list: its rows are there while it is near what is seen, else only its height.
function Chunk({ count: n, children, rowHeight }: { count: number; children: () => ComponentChildren; rowHeight: number }) {
  const box = useRef<HTMLDivElement>(null);
  const height = useRef(0);
  const [near, setNear] = useState(false);
  useEffect(() => {
    const o = new IntersectionObserver((all) => {
      const e = all[all.length - 1];
      if (!e.isIntersecting && box.current!.childElementCount) height.current = e.boundingClientRect.height;
      setNear(e.isIntersecting);
    }, { rootMargin: '1000px' });
    o.observe(box.current!);
    return () => o.disconnect();
  }, []);
  return <div class="chunk" ref={box} style={{ minHeight: near ? undefined : `${height.current || n * rowHeight}px` }}>
    {near && children()}</div>;
}

// Thousands of rows stay smooth: long lists are made of parts.
export function Many<T>({ items, row, rowHeight = 36, part = 40 }:
  { items: T[]; row: (item: T, i: number) => ComponentChildren; rowHeight?: number; part?: number }) {
  if (items.length <= part * 2) return <>{items.map(row)}</>;
  const starts = Array.from({ length: Math.ceil(items.length / part) }, (_, i) => i * part);
  return <>{starts.map((at) => {
    const some = items.slice(at, at + part);
    return <Chunk key={`chunk${at}`} count={some.length} rowHeight={rowHeight}>{() => some.map((x, i) => row(x, at + i))}</Chunk>;
  })}</>;
}

export function copyText(text: string): boolean {
  if (navigator.clipboard && window.isSecureContext) {
    void navigator.clipboard.writeText(text);
    return true;
  }
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}

export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [said, setSaid] = useState('');
  return <button type="button" class="quiet" onClick={() => {
    setSaid(copyText(text) ? 'Copied' : 'Not allowed');
    window.setTimeout(() => setSaid(''), 1500);
  }}>{said || label}</button>;
}

export function download(name: string, type: string, text: string) {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(new Blob([text], { type }));
  a.download = name;
  a.click();
  window.setTimeout(() => URL.revokeObjectURL(a.href), 10000);
}

export const matchesText = (needle: string, ...texts: string[]) => {
  const parts = needle.toLowerCase().split(/\s+/).filter(Boolean);
  const hay = texts.join('\n').toLowerCase();
  return parts.every((p) => hay.includes(p));
};
export const labelsText = (l: Labels) => Object.entries(l).map(([k, v]) => `${k}=${v}`).join('\n');
export const exploreLink = (expr: string, graph = false) =>
  `query?g0.expr=${encodeURIComponent(expr)}&g0.tab=${graph ? 'graph' : 'table'}`;
