// Ctrl-K: one box that leads to every page, metric, target and rule, and to what else the pages can do.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { type Group, type Target, ask } from './api';
import { exploreLink } from './parts';

export interface Command { name: string; kind: string; run: () => void }

const most = 60;

function rankOf(text: string, words: string[]): number {
  let sum = 0;
  for (const w of words) {
    const at = text.indexOf(w);
    if (at < 0) return -1;
    sum += at === 0 ? 0 : /\W|_/.test(text[at - 1]) ? 1 : 2;
  }
  return sum * 1000 + text.length;
}

export function Palette({ commands, go, onClose }: { commands: Command[]; go: (href: string) => void; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const [found, setFound] = useState<Command[]>([]);
  useEffect(() => {
    dialog.current?.showModal();
    let live = true;
    const add = (more: Command[]) => { if (live) setFound((old) => [...old, ...more]); };
    void ask<string[]>('label/__name__/values', { limit: '50000' }).then((a) => add(a.data.map((m) =>
      ({ name: m, kind: 'metric', run: () => go(exploreLink(/^[a-zA-Z_:][\w:]*$/.test(m) ? m : `{${JSON.stringify(m)}}`, true)) }))), () => undefined);
    void ask<{ groups: Group[] }>('rules', { exclude_alerts: 'true' }).then((a) => add(a.data.groups.flatMap((g) => g.rules.map((r) =>
      ({ name: `${r.name} (${g.name})`, kind: r.type === 'alerting' ? 'alert' : 'rule',
        run: () => go(`${r.type === 'alerting' ? 'alerts' : 'rules'}?q=${encodeURIComponent(r.name)}`) })))), () => undefined);
    void ask<{ activeTargets: Target[] }>('targets', { state: 'active' }).then((a) => add(a.data.activeTargets.map((t) =>
      ({ name: `${t.labels.job ?? t.scrapePool} ${t.scrapeUrl}`, kind: `target, ${t.health}`, run: () => go(`targets?search=${encodeURIComponent(t.scrapeUrl)}`) }))), () => undefined);
    return () => { live = false; };
  }, []);
  const shown = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return commands;
    const hits: [number, Command][] = [];
    for (const c of [...commands, ...found]) {
      const rank = rankOf(c.name.toLowerCase(), words);
      if (rank >= 0) hits.push([rank, c]);
    }
    const all = hits.sort((a, b) => a[0] - b[0]).slice(0, most).map((h) => h[1]);
    return /[({[]/.test(text) || !all.length
      ? [...all, { name: text, kind: 'run as a query', run: () => go(exploreLink(text)) }] : all;
  }, [text, found, commands]);
  const chosen = Math.min(at, shown.length - 1);
  useEffect(() => { list.current?.children[chosen]?.scrollIntoView({ block: 'nearest' }); }, [chosen, shown]);
  const take = (c?: Command) => { if (c) { dialog.current?.close(); c.run(); } };
  return <dialog ref={dialog} class="palette" aria-label="Go to" onClose={onClose}
    onClick={(e) => e.target === dialog.current && dialog.current?.close()}>
    <input type="text" role="combobox" aria-expanded="true" aria-controls="commands" aria-activedescendant={shown.length ? `command-${chosen}` : undefined}
      aria-label="Go to a page, metric, target or rule" placeholder="Page, metric, target, rule or query" autocomplete="off" spellcheck={false} value={text}
      onInput={(e) => { setText(e.currentTarget.value); setAt(0); }}
      onKeyDown={(e) => {
        if (e.key === 'ArrowDown' || e.key === 'ArrowUp') setAt((chosen + (e.key === 'ArrowDown' ? 1 : shown.length - 1)) % shown.length);
        else if (e.key === 'Enter') take(shown[chosen]);
        else return;
        e.preventDefault();
      }} />
    <ul id="commands" role="listbox" aria-label="Found" ref={list}>{shown.map((c, i) =>
      <li key={`${c.kind} ${c.name}`} id={`command-${i}`} role="option" aria-selected={i === chosen} onMouseDown={(e) => { e.preventDefault(); take(c); }}>
        <span>{c.name}</span><span class="kind">{c.kind}</span></li>)}</ul>
  </dialog>;
}
