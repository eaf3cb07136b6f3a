// Targets: what is scraped, the broken ones first; under discovery, what was found and dropped.
import { useState } from 'preact/hooks';
import { type ApiError, type Labels, type Target, type Targets, usePoll } from './api';
import { byText, clockText, count, plural, since, timeText, tookText } from './format';
import { type Rows, useLive } from './live';
import { Badge, Choices, Empty, LabelList, Loading, Many, Problem, Search, exploreLink, labelsText, matchesText, useParam } from './parts';
import { Steps } from './relabel';

type State = 'all' | 'up' | 'down' | 'unknown';
const rank: Record<string, number> = { down: 0, unknown: 1, up: 2 };

// The stream leaves out what discovery found: it is asked for when a row is opened.
function Discovered({ t }: { t: Target }) {
  const { data } = usePoll<Targets>(t.discoveredLabels ? '' : 'targets', 0, { state: 'active', scrapePool: t.scrapePool });
  const found = t.discoveredLabels ?? data?.activeTargets.find((x) => x.scrapeUrl === t.scrapeUrl)?.discoveredLabels;
  if (!found) return <p class="dim">Loading…</p>;
  return <Steps pool={t.scrapePool} before={found} />;
}

function TargetRow({ t }: { t: Target }) {
  const [open, setOpen] = useState(false);
  const up = `up{job=${JSON.stringify(t.labels.job ?? '')}, instance=${JSON.stringify(t.labels.instance ?? '')}}`;
  return <div class={`target ${t.health}${open ? ' open' : ''}`}>
    <button type="button" class="row" data-row aria-expanded={open} onClick={() => setOpen(!open)}>
      <span class="c-state"><Badge state={t.health} /></span>
      <span class="c-name"><span class="url">{t.scrapeUrl}</span>{t.lastError && <span class="error">{t.lastError}</span>}</span>
      <span class="c-labels"><LabelList labels={t.labels} /></span>
      <span class="c-num num">{since(t.lastScrape)}</span>
      <span class="c-num num">{tookText(t.lastScrapeDuration)}</span>
    </button>
    {open && <div class="detail"><dl class="pairs">
      <div><dt>last scrape</dt><dd class="num">{timeText(Date.parse(t.lastScrape))}, every {t.scrapeInterval}, timeout {t.scrapeTimeout}</dd></div>
      <div><dt>scrape pool</dt><dd><a href={`targets?pool=${encodeURIComponent(t.scrapePool)}`}>{t.scrapePool}</a></dd></div>
      <div><dt>address</dt><dd>{/^https?:/.test(t.globalUrl) ? <a href={t.globalUrl} rel="noopener noreferrer" target="_blank">{t.globalUrl}</a>
        : t.globalUrl} · <a href={exploreLink(up, true)}>Explore up</a></dd></div>
      <div><dt>discovered</dt><dd><Discovered t={t} /></dd></div>
    </dl></div>}
  </div>;
}

interface Found { key: string; dropped: boolean; pool: string; before: Labels; after?: Labels }

function FoundRow({ f }: { f: Found }) {
  const [open, setOpen] = useState(false);
  return <div class={`target ${f.dropped ? 'dropped' : 'up'}${open ? ' open' : ''}`}>
    <button type="button" class="row" data-row aria-expanded={open} onClick={() => setOpen(!open)}>
      <span class="c-state"><Badge state={f.dropped ? 'dropped' : 'active'} /></span>
      <span class="c-name"><LabelList labels={f.before} /></span>
      <span class="c-labels">{f.after ? <LabelList labels={f.after} /> : <span class="dim">dropped by relabelling</span>}</span>
    </button>
    {open && <div class="detail"><Steps pool={f.pool} before={f.before} said /></div>}
  </div>;
}

function Discovery({ data, text, pool }: { data: Targets; text: string; pool: string }) {
  const all: Found[] = [
    ...data.droppedTargets.map((t, i) => ({ key: `d${i}`, dropped: true, pool: t.scrapePool, before: t.discoveredLabels })),
    ...data.activeTargets.map((t, i) =>
      ({ key: `a${i}`, dropped: false, pool: t.scrapePool, before: t.discoveredLabels, after: t.labels }))];
  const found = all
    .filter((f) => (!pool || f.pool === pool) && (!text || matchesText(text, labelsText(f.before), labelsText(f.after ?? {}))));
  return found.length ? <div class="list targets found"><Many items={found} row={(f) => <FoundRow key={f.key} f={f} />} /></div>
    : <Empty title="Nothing was discovered that matches." />;
}

const noneDropped = (activeTargets: Target[]): Targets => ({ activeTargets, droppedTargets: [], droppedTargetCounts: null });

function useTargets(discovery: boolean): { data?: Targets; error?: ApiError; at: number } {
  const live = useLive<Rows<Target>>(discovery ? 'summary' : 'targets');
  const polled = usePoll<Targets>(discovery || live.off ? 'targets' : '', discovery ? 15 : 5, { state: discovery ? 'any' : 'active' });
  if (discovery || live.off) return polled;
  return { data: live.value && noneDropped([...live.value.values()]), at: live.at };
}

export function TargetsPage({ discovery = false }: { discovery?: boolean }) {
  const { data, error, at } = useTargets(discovery);
  const [text, setText] = useParam<string>('search q', '');
  const [pool, setPool] = useParam<string>('pool scrapePool', '');
  const [state, setState] = useParam<State>('state health', 'all', ['up', 'down', 'unknown']);
  if (!data) return error ? <Problem error={error} /> : <Loading />;
  const all = data.activeTargets;
  const pools = [...new Set([...all, ...data.droppedTargets].map((t) => t.scrapePool))].sort();
  const of = (s: State) => all.filter((t) => t.health === s).length;
  const sizes = new Map<string, [up: number, all: number]>();
  for (const t of all) {
    const [up, n] = sizes.get(t.scrapePool) ?? [0, 0];
    sizes.set(t.scrapePool, [up + Number(t.health === 'up'), n + 1]);
  }
  const poolText = (p: string) => { const [up, n] = sizes.get(p) ?? [0, 0]; return `${p}: ${up} of ${n} up`; };
  const shown = all.filter((t) => (state === 'all' || t.health === state) && (!pool || t.scrapePool === pool)
    && (!text || matchesText(text, t.scrapeUrl, t.lastError, labelsText(t.labels))))
    .sort((a, b) => rank[a.health] - rank[b.health] || byText(a.scrapePool, b.scrapePool) || byText(a.scrapeUrl, b.scrapeUrl));
  return <>
    {error && <Problem error={error}><span> Shown is what was true at {clockText(at)}.</span></Problem>}
    <div class="bar"><Search value={text} onValue={setText} label="Filter by address, label or error" />
      {!discovery && <Choices label="Health" value={state} onValue={setState} all={[{ value: 'all', label: 'All', n: all.length },
        { value: 'up', label: 'Up', n: of('up') }, { value: 'down', label: 'Down', n: of('down') },
        { value: 'unknown', label: 'New', n: of('unknown') }]} />}
      {pools.length > 1 && <select aria-label="Scrape pool" value={pool} onChange={(e) => setPool(e.currentTarget.value)}>
        <option value="">All {count(pools.length)} pools</option>{pools.map((p) => <option key={p} value={p}>{poolText(p)}</option>)}</select>}
      <span class="tabs"><a href="targets" aria-current={discovery ? undefined : 'page'}>Scraped</a>
        <a href="service-discovery" aria-current={discovery ? 'page' : undefined}>Discovered</a></span></div>
    {discovery ? <Discovery data={data} text={text} pool={pool} />
      : shown.length ? <div class="list targets">
        <div class="row head" aria-hidden="true"><span class="c-state">Health</span><span class="c-name">Address</span>
          <span class="c-labels">Labels</span><span class="c-num">Scraped</span><span class="c-num">Took</span></div>
        <Many items={shown} row={(t) => <TargetRow key={`${t.scrapePool};${t.scrapeUrl};${JSON.stringify(t.labels)}`} t={t} />} />
        <p class="dim foot">{plural(shown.length, 'target')}</p></div>
        : <Empty title={all.length ? 'No target matches.' : 'No targets are configured.'}>
          {!all.length && <p>They come from <code>scrape_configs</code> of the configuration.</p>}</Empty>}
  </>;
}
