// Alerts: every alerting rule with its state, the active ones with their alerts.
import { useState } from 'preact/hooks';
import { rowsOf, useAlerts } from './alertrows';
import type { Group, Rule } from './api';
import { ago, clockText, count, severityRank } from './format';
import { AlertRows } from './now';
import { Badge, Choices, Empty, Loading, Many, Problem, Search, exploreLink, labelsText, matchesText, useParam } from './parts';

type State = 'all' | 'firing' | 'pending' | 'inactive';
const rank: Record<string, number> = { firing: 0, pending: 1, unknown: 2, inactive: 3 };

function AlertingRule({ rule, group }: { rule: Rule; group: Group }) {
  const active = rule.alerts?.length ?? 0;
  const [open, setOpen] = useState<boolean>();
  const shown = open ?? (active > 0 && active <= 20);
  const severity = rule.labels?.severity;
  return <div class={`rule ${rule.state}${shown ? ' open' : ''}`}>
    <button type="button" class="row" data-row aria-expanded={shown} onClick={() => setOpen(!shown)}>
      <span class="c-state"><Badge state={rule.state ?? 'unknown'} /></span>
      <span class="c-name"><strong>{rule.name}</strong>{severity && <span class={`severity r${severityRank(severity)}`}>{severity}</span>}
        <code class="query">{rule.query}</code></span>
      <span class="c-dim">{group.name}</span>
      <span class="c-num num">{rule.duration ? `for ${ago(rule.duration * 1000)}` : ''}</span>
      <span class="c-num num">{active ? `${count(active)} active` : ''}</span>
    </button>
    {shown && <div class="detail">
      <p><code>{rule.query}</code> <a href={exploreLink(rule.query, true)}>Explore</a></p>
      {active > 0 ? <AlertRows rows={rowsOf([{ ...group, rules: [rule] }])} /> : <p class="dim">No alert is active.</p>}
    </div>}
  </div>;
}

export function AlertsPage() {
  const { groups, error, at } = useAlerts();
  const [text, setText] = useParam<string>('search q', '');
  const [state, setState] = useParam<State>('state', 'all', ['firing', 'pending', 'inactive']);
  if (!groups) return error ? <Problem error={error} /> : <Loading />;
  const all = groups.flatMap((group) => group.rules.map((rule) => ({ group, rule })))
    .sort((a, b) => rank[a.rule.state ?? 'unknown'] - rank[b.rule.state ?? 'unknown']);
  const of = (s: State) => all.filter((r) => r.rule.state === s).length;
  const shown = all.filter(({ rule, group }) => (state === 'all' || rule.state === state) && (!text || matchesText(text,
    rule.name, rule.query, group.name, labelsText(rule.labels ?? {}), ...(rule.alerts ?? []).map((a) => labelsText(a.labels)))));
  return <>
    {error && <Problem error={error}><span> Shown is what was true at {clockText(at)}.</span></Problem>}
    <div class="bar"><Search value={text} onValue={setText} label="Filter by rule, label or query" />
      <Choices label="State" value={state} onValue={setState} all={[{ value: 'all', label: 'All', n: all.length },
        { value: 'firing', label: 'Firing', n: of('firing') }, { value: 'pending', label: 'Pending', n: of('pending') },
        { value: 'inactive', label: 'Inactive', n: of('inactive') }]} /></div>
    {shown.length ? <div class="list rules"><Many items={shown} row={(r, i) =>
      <AlertingRule key={`${r.group.file};${r.group.name};${r.rule.name};${r.rule.query};${i}`} {...r} />} /></div>
      : <Empty title={all.length ? 'No rule matches.' : 'No alerting rules are loaded.'}>
        {!all.length && <p>Rules come from the files under <code>rule_files</code> of the configuration.</p>}</Empty>}
  </>;
}
