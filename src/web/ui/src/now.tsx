// Now: what is wrong, the worst first. When nothing is: what is healthy.
import { useState } from 'preact/hooks';
import { type Group, type Summary } from './api';
import { type Row, rowsOf, useAlerts } from './alertrows';
import { Chips, Stories } from './delivery';
import { ago, clockText, count, plural, severityRank, short, timeText } from './format';
import { useFeed } from './live';
import { Badge, Choices, Empty, LabelList, Loading, Many, Problem, Search, Text, exploreLink, labelsText, matchesText,
  useParam } from './parts';
import { Spark, watched } from './spark';

// Where the alert stands between its condition and its notification.
function Standing({ alert, rule }: Row) {
  const held = Date.now() - Date.parse(alert.activeAt), wait = (rule.duration ?? 0) * 1000;
  if (alert.state === 'pending')
    return <span class="standing">{ago(held)} of {ago(wait)}
      <progress max={wait || 1} value={Math.min(held, wait)} aria-label="Time held" /></span>;
  return <>{alert.keepFiringSince && <span class="standing">kept firing</span>}
    {alert.delivery && alert.delivery.length > 0 && <span class="chips"><Chips all={alert.delivery} /></span>}</>;
}

// From the rule to whoever was told: what is watched, what it is now, how long it has been so, where that went.
function Chain({ alert, rule, group }: Row) {
  const { expr, limit } = watched(rule.query);
  const held = Date.now() - Date.parse(alert.activeAt), wait = (rule.duration ?? 0) * 1000, firing = alert.state === 'firing';
  return <ol class="chain">
    <li class="is-good"><strong>Rule</strong><p>{rule.name} in <a href={`rules?q=${encodeURIComponent(group.name)}`}>{group.name}</a> <span class="dim">{group.file}</span></p>
      <p><code>{rule.query}</code> <a href={exploreLink(rule.query, true)}>Explore</a></p></li>
    <li class="is-good"><strong>Samples</strong><p><code>{expr}</code> is <b class="num">{String(Number(alert.value))}</b>
      {limit !== undefined && <span class="dim"> against {limit}</span>} <a href={exploreLink(expr, true)}>Explore</a></p>
      <Spark query={rule.query} labels={alert.labels} wide /></li>
    <li class={firing ? 'is-good' : 'is-warn'}><strong>{firing ? 'Fires' : 'Pending'}</strong><p class="num">true since {timeText(Date.parse(alert.activeAt))}, {ago(held)}
      {wait > 0 && (firing ? `, more than the ${ago(wait)} it had to hold` : `; fires after ${ago(wait)}, in ${ago(Math.max(0, wait - held))}`)}
      {alert.keepFiringSince && `; over since ${timeText(Date.parse(alert.keepFiringSince))}, kept firing`}</p></li>
    <li class={!firing ? '' : alert.delivery?.some((d) => d.state !== 'sent') ? 'is-warn' : 'is-good'}><strong>Told</strong>
      {!firing ? <p class="dim">Nobody yet: it is only pending.</p> : alert.delivery === undefined ? <p class="dim">Not known: the live stream is not available.</p>
        : alert.delivery.length ? <Stories all={alert.delivery} /> : <p class="dim">Not handed to a receiver yet.</p>}</li>
  </ol>;
}

function Detail(row: Row) {
  const notes = Object.entries(row.alert.annotations);
  return <div class="detail">
    {notes.length > 0 && <dl class="pairs">{notes.map(([k, v]) =>
      <div key={k}><dt>{k}</dt><dd><Text value={v} /></dd></div>)}</dl>}
    <Chain {...row} />
  </div>;
}

export function AlertRow(row: Row) {
  const [open, setOpen] = useState(false);
  const { alert, rule } = row;
  const { alertname, severity } = alert.labels;
  const held = Date.now() - Date.parse(alert.activeAt);
  const summary = alert.annotations.summary ?? alert.annotations.description;
  return <div class={`alert ${alert.state}${open ? ' open' : ''}`}>
    <button type="button" class="row" data-row aria-expanded={open} onClick={() => setOpen(!open)}>
      <span class="c-state"><Badge state={alert.state} /></span>
      <span class="c-name"><strong>{alertname}</strong>{severity && <span class={`severity r${severityRank(severity)}`}>{severity}</span>}
        <Standing {...row} />{summary && <span class="summary">{summary}</span>}</span>
      <span class="c-labels"><LabelList labels={alert.labels} skip={['alertname', 'severity']} /></span>
      <span class="c-spark"><Spark query={rule.query} labels={alert.labels} /></span>
      <span class="c-value num" title={String(Number(alert.value))}>{short(Number(alert.value))}</span>
      <span class="c-since num" title={`since ${timeText(Date.parse(alert.activeAt))}`}>{ago(held)}</span>
    </button>
    {open && <Detail {...row} />}
  </div>;
}

export function AlertRows({ rows }: { rows: Row[] }) {
  return <div class="list alerts">
    <div class="row head" aria-hidden="true"><span class="c-state">State</span><span class="c-name">Alert</span>
      <span class="c-labels">Labels</span><span class="c-spark">24 h</span><span class="c-value">Value</span>
      <span class="c-since">Since</span></div>
    <Many items={rows} row={(r) => <AlertRow key={r.id} {...r} />} />
  </div>;
}

function Healthy({ rules }: { rules: Group[] }) {
  const { data: s } = useFeed<Summary, Summary>('summary', 'status/summary', {}, (x) => x);
  const alerting = rules.reduce((n, g) => n + g.rules.length, 0);
  return <Empty title="Nothing is wrong that a rule knows of.">
    <ul class="facts">
      <li class={alerting ? '' : 'none'}>{alerting ? <>{plural(alerting, 'alerting rule')} watching, none pending</> :
        <>No alerting rules are loaded: name files under <code>rule_files</code></>}</li>
      {s?.rules && s.rules.failing > 0 && <li class="ill"><a href="rules?state=err">{plural(s.rules.failing, 'rule')} failing</a></li>}
      {s?.targets && <li class={s.targets.down ? 'ill' : s.targets.up ? '' : 'none'}>{s.targets.down
        ? <a href="targets?state=down">{plural(s.targets.down, 'target')} down</a>
        : s.targets.up ? <>All {plural(s.targets.up, 'target')} up</> : <>No targets are configured</>}</li>}
      {s?.tsdb && <li class={s.tsdb.series ? '' : 'none'}>{count(s.tsdb.series)} series in memory</li>}
      {s && <li class={s.reloadOk ? '' : 'ill'}>{s.reloadOk ? 'Configuration loaded' : 'The last reload failed'} at {clockText(s.lastReloadMs)}</li>}
    </ul>
    <p><a href="query">Explore the data</a></p>
  </Empty>;
}

export function Now() {
  const { groups, error, at } = useAlerts();
  const [text, setText] = useParam<string>('search q', '');
  const [state, setState] = useParam<'all' | 'firing' | 'pending'>('state', 'all', ['firing', 'pending']);
  if (!groups) return error ? <Problem error={error} /> : <Loading />;
  const all = rowsOf(groups);
  const of = (s: string) => all.filter((r) => r.alert.state === s).length;
  const rows = all.filter((r) => (state === 'all' || r.alert.state === state)
    && (!text || matchesText(text, labelsText(r.alert.labels), labelsText(r.alert.annotations))));
  return <>
    {error && <Problem error={error}><span> Shown is what was true at {clockText(at)}.</span></Problem>}
    {all.length === 0 ? <Healthy rules={groups} /> : <>
      <div class="bar"><Search value={text} onValue={setText} label="Filter by label or text" />
        <Choices label="State" value={state} onValue={setState} all={[{ value: 'all', label: 'All', n: all.length },
          { value: 'firing', label: 'Firing', n: of('firing') }, { value: 'pending', label: 'Pending', n: of('pending') }]} />
        <span class="unseen" role="status">{plural(of('firing'), 'alert')} firing, {of('pending')} pending</span></div>
      {rows.length ? <AlertRows rows={rows} /> : <Empty title="No alert matches." />}</>}
  </>;
}
