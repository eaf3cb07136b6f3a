// The shell of every page: navigation, health strip, keys, and which page the address names.
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { AlertsPage } from './alerts';
import { Explore } from './explore';
import { isUtc, setUtc } from './format';
import { Now } from './now';
import { type Command, Palette } from './palette';
import { QueriesPage } from './queries';
import { RulesPage } from './rules';
import { StatusPage } from './status';
import { Strip } from './strip';
import { TargetsPage } from './targets';

const pages: [path: string, name: string, key: string][] = [
  ['', 'Now', 'n'], ['query', 'Explore', 'e'], ['alerts', 'Alerts', 'a'], ['rules', 'Rules', 'r'],
  ['targets', 'Targets', 't'], ['queries', 'Queries', 'q'], ['status', 'Status', 's']];
const parents: Record<string, string> = {
  flags: 'status', config: 'status', 'tsdb-status': 'status', 'alertmanager-discovery': 'status',
  'service-discovery': 'targets' };
const subpages = [['service-discovery', 'Discovered targets'], ['tsdb-status', 'Storage'], ['config', 'Configuration'], ['flags', 'Flags'],
  ['alertmanager-discovery', 'Alertmanagers']] as const;
const here = () => location.pathname.slice(location.pathname.lastIndexOf('/') + 1);
const siteTitle = document.title;

export function go(href: string) {
  history.pushState(null, '', href || './');
  window.dispatchEvent(new PopStateEvent('popstate'));
  window.scrollTo(0, 0);
}

// A plain click on a link to one of our pages changes the page without loading it anew.
function followLink(e: MouseEvent) {
  const a = (e.target as Element).closest?.('a');
  if (!a || e.defaultPrevented || e.button || e.metaKey || e.ctrlKey || e.shiftKey || a.target || a.download) return;
  const base = location.pathname.slice(0, location.pathname.lastIndexOf('/') + 1);
  const rest = a.pathname.startsWith(base) ? a.pathname.slice(base.length) : '/';
  if (a.origin !== location.origin || !(pages.some(([p]) => p === rest) || rest in parents) || a.hash) return;
  e.preventDefault();
  go(a.href);
}

type Theme = 'system' | 'light' | 'dark';
const themes: Record<Theme, [next: Theme, sign: string]> = {
  system: ['light', '◐'], light: ['dark', '☀'], dark: ['system', '☾'] };
const storedTheme = () => {
  const t = localStorage.getItem('narthex.theme');
  return t === 'light' || t === 'dark' ? t : 'system';
};
function applyTheme(t: Theme) {
  if (t === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = t;
  localStorage.setItem('narthex.theme', t);
}
applyTheme(storedTheme());

const keys: [string, string][] = [
  ['/', 'search, or the query'], ['g n', 'Now'], ['g e', 'Explore'], ['g a', 'Alerts'], ['g r', 'Rules'],
  ['g t', 'Targets'], ['g q', 'Queries'], ['g s', 'Status'], ['j k', 'next, previous row'], ['Enter', 'open the row; run the query'],
  ['Shift Enter', 'new line in the query'], ['← →', 'move the graph in time'], ['+ −', 'zoom the graph'], ['Ctrl K', 'go to anything'], ['?', 'this list'], ['Esc', 'close, leave']];

function Help({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return <dialog ref={dialog} onClose={onClose} aria-labelledby="keys"
    onClick={(e) => e.target === dialog.current && dialog.current?.close()}>
    <h2 id="keys">Keys</h2>
    <dl class="keys">{keys.map(([k, what]) =>
      <div key={k}><dt>{k.split(' ').map((x) => <kbd key={x}>{x}</kbd>)}</dt><dd>{what}</dd></div>)}</dl>
    <button type="button" onClick={() => dialog.current?.close()}>Close</button>
  </dialog>;
}

function moveRow(by: number) {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')];
  if (!rows.length) return;
  const at = rows.findIndex((r) => r === document.activeElement || r.contains(document.activeElement));
  const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))];
  next.focus();
  next.scrollIntoView({ block: 'nearest' });
}

function useKeys(help: () => void, palette: () => void) {
  useEffect(() => {
    let lead = 0;
    const onKey = (e: KeyboardEvent) => {
      const t = e.composedPath()[0] as HTMLElement;
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName) || t.isContentEditable;
      if (e.key === 'Escape' && typing && !e.defaultPrevented) t.blur();
      if (e.key.toLowerCase() === 'k' && (e.ctrlKey || e.metaKey) && !e.shiftKey && !document.querySelector('dialog[open]')) {
        e.preventDefault();
        palette();
        return;
      }
      if (typing || e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]')) return;
      const after = Date.now() - lead < 1000;
      lead = 0;
      const page = after && pages.find((p) => p[2] === e.key);
      if (page) go(page[0]);
      else if (e.key === 'g') lead = Date.now();
      else if (e.key === '?') help();
      else if (e.key === 'j' || e.key === 'k') moveRow(e.key === 'j' ? 1 : -1);
      else if (e.key === '/') {
        const box = document.querySelector<HTMLElement>('[data-search]');
        if (box) box.focus();
        else go('query');
      } else return;
      e.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}

function Page({ path }: { path: string }) {
  switch (path) {
    case 'query': return <Explore />;
    case 'alerts': return <AlertsPage />;
    case 'rules': return <RulesPage />;
    case 'targets': return <TargetsPage />;
    case 'queries': return <QueriesPage />;
    case 'service-discovery': return <TargetsPage discovery />;
    case '': return <Now />;
    default: return <StatusPage tab={path} />;
  }
}

function App() {
  const [path, setPath] = useState(here());
  const [visit, setVisit] = useState(0);
  const [theme, setTheme] = useState<Theme>(storedTheme());
  const [utc, setUtcState] = useState(isUtc());
  const [help, setHelp] = useState(false);
  const [palette, setPalette] = useState(false);
  const parent = parents[path] ?? path;
  const name = pages.find((p) => p[0] === parent)?.[1] ?? '';
  useKeys(() => setHelp(true), () => setPalette(true));
  useEffect(() => {
    const onPop = () => { setPath(here()); setVisit((n) => n + 1); };
    window.addEventListener('popstate', onPop);
    document.addEventListener('click', followLink);
    return () => window.removeEventListener('popstate', onPop);
  }, []);
  useEffect(() => {
    document.querySelector('.top nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [parent]);
  useEffect(() => { document.title = `${name} · ${siteTitle}`; }, [name]);
  const turnTheme = () => { const n = themes[theme][0]; applyTheme(n); setTheme(n); };
  const turnUtc = () => { setUtc(!utc); setUtcState(!utc); };
  const commands: Command[] = [...pages.map(([p, label]) => ({ name: label, kind: 'page', run: () => go(p) })),
    ...subpages.map(([p, label]) => ({ name: label, kind: 'page', run: () => go(p) })),
    { name: `Times in ${utc ? 'local time' : 'UTC'}`, kind: 'setting', run: turnUtc },
    { name: `Colours: ${themes[theme][0]}`, kind: 'setting', run: turnTheme },
    { name: 'Keys', kind: 'help', run: () => setHelp(true) }];
  return <>
    <a class="skip" href="#main">Skip to content</a>
    <header class="top">
      <a class="mark" href="./" aria-label={`${siteTitle}, Now`}>
        <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2 14V7a6 6 0 0 1 12 0v7h-3V7a3 3 0 0 0-6 0v7z" /></svg>
        <span>{siteTitle}</span></a>
      <nav aria-label="Pages">{pages.map(([p, label]) =>
        <a key={p} href={p || './'} aria-current={p === parent ? 'page' : undefined}>{label}</a>)}</nav>
      <div class="tools">
        <button type="button" class="quiet goto" title="Go to anything: Ctrl K" onClick={() => setPalette(true)}>Go to <kbd>Ctrl K</kbd></button>
        <button type="button" class="quiet" title="Times in UTC or local"
          onClick={turnUtc}>{utc ? 'UTC' : 'Local'}</button>
        <button type="button" class="quiet" title={`Colours: ${theme}`} aria-label={`Colours: ${theme}`}
          onClick={turnTheme}>{themes[theme][1]}</button>
        <button type="button" class="quiet" title="Keys" aria-label="Keys" onClick={() => setHelp(true)}>?</button>
      </div>
    </header>
    <Strip />
    <main id="main" tabIndex={-1} key={`${path} ${path === 'query' ? '' : visit} ${utc}`}><h1 class="unseen">{name}</h1><Page path={path} /></main>
    {palette && <Palette commands={commands} go={go} onClose={() => setPalette(false)} />}
    {help && <Help onClose={() => setHelp(false)} />}
  </>;
}

render(<App />, document.getElementById('app')!);
