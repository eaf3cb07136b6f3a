// Rules: groups in the order of their files, each rule with its health and its last evaluation.
import { type Group, type Rule, usePoll } from './api';
import { type Rows, useLive } from './live';
import { ago, clockText, durationText, plural, since, timeText, tookText } from './format';
import { Badge, Choices, Empty, LabelList, Loading, Many, Problem, Search, exploreLink, labelsText, matchesText, useParam } from './parts';

type State = 'all' | 'ok' | 'err';

function RuleRow({ rule }: { rule: Rule }) {
  return <div class={`rule ${rule.health}`} data-row tabIndex={-1}>
    <div class="row">
      <span class="c-state"><Badge state={rule.health} /></span>
      <span class="c-name"><strong>{rule.name}</strong><span class="kind">{rule.type === 'alerting' ? 'alert' : 'record'}</span>
        {rule.duration ? <span class="dim">for {ago(rule.duration * 1000)}</span> : null}
        <LabelList labels={rule.labels ?? {}} />
        <a class="query" href={exploreLink(rule.query, true)} title="Explore"><code>{rule.query}</code></a>
        {rule.lastError && <span class="error">{rule.lastError}</span>}</span>
      <span class="c-num num" title={timeText(Date.parse(rule.lastEvaluation))}>{since(rule.lastEvaluation)}</span>
      <span class="c-num num">{tookText(rule.evaluationTime)}</span>
    </div>
  </div>;
}

function GroupBox({ group }: { group: Group }) {
  const slow = group.evaluationTime > group.interval;
  return <section class="group">
    <h2><span>{group.name}</span><span class="file">{group.file}</span>
      <span class={`num dim${slow ? ' bad' : ''}`}>every {durationText(group.interval)}, took {tookText(group.evaluationTime)}
        {slow ? ', slower than its interval' : ''}</span></h2>
    <div class="list">{group.rules.map((r, i) => <RuleRow key={i} rule={r} />)}</div>
  </section>;
}

type Told = Pick<Rule, 'health' | 'lastEvaluation' | 'evaluationTime' | 'lastError'>;

// The rules are asked for once in a while; how they fare is told by the stream.
function useRules() {
  const live = useLive<Rows<Told>>('rules');
  const asked = usePoll<{ groups: Group[] }>('rules', live.off ? 5 : 30, { exclude_alerts: 'true' });
  if (live.off || !live.value || !asked.data) return asked;
  const told = live.value;
  const groups = asked.data.groups.map((g) => ({ ...g, rules: g.rules.map((r, i) =>
    ({ ...r, lastError: undefined, ...told.get(`${g.file}\x01${g.name}\x01${i}`) })) }));
  return { data: { groups }, at: live.at, error: undefined };
}

export function RulesPage() {
  const { data, error, at } = useRules();
  const [text, setText] = useParam<string>('search q', '');
  const [state, setState] = useParam<State>('state health', 'all', ['ok', 'err']);
  if (!data) return error ? <Problem error={error} /> : <Loading />;
  const all = data.groups.flatMap((g) => g.rules);
  const wanted = (g: Group, r: Rule) => (state === 'all' || r.health === state)
    && (!text || matchesText(text, r.name, r.query, g.name, g.file, labelsText(r.labels ?? {})));
  const groups = data.groups.map((g) => ({ ...g, rules: g.rules.filter((r) => wanted(g, r)) })).filter((g) => g.rules.length);
  return <>
    {error && <Problem error={error}><span> Shown is what was true at {clockText(at)}.</span></Problem>}
    <div class="bar"><Search value={text} onValue={setText} label="Filter by name, query, group or file" />
      <Choices label="Health" value={state} onValue={setState} all={[{ value: 'all', label: 'All', n: all.length },
        { value: 'ok', label: 'Ok', n: all.filter((r) => r.health === 'ok').length },
        { value: 'err', label: 'Failing', n: all.filter((r) => r.health === 'err').length }]} />
      <span class="dim">{plural(data.groups.length, 'group')}</span></div>
    {groups.length ? <Many items={groups} part={8} rowHeight={260} row={(g) => <GroupBox key={`${g.file};${g.name}`} group={g} />} />
      : <Empty title={all.length ? 'No rule matches.' : 'No rules are loaded.'}>
        {!all.length && <p>Rules come from the files under <code>rule_files</code> of the configuration.</p>}</Empty>}
  </>;
}
