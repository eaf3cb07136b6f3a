// Drives every page with a browser against running servers (tests/process/test_pages.py starts them) and fails on the
// first thing that is wrong. With NARTHEX_SCREENSHOTS=folder it keeps pictures of each page to be looked at.
import assert from 'node:assert/strict';
import { readFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const url = process.env.NARTHEX_URL, quietUrl = process.env.NARTHEX_QUIET_URL, shots = process.env.NARTHEX_SCREENSHOTS;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
if (shots) mkdirSync(shots, { recursive: true });

const context = await chromium.launchPersistentContext(process.env.NARTHEX_PROFILE, {
  executablePath: process.env.NARTHEX_BROWSER, headless: true, viewport: { width: 1360, height: 860 },
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const patience = 30000 * Number(process.env.NARTHEX_SLOW ?? 1);
context.setDefaultTimeout(patience);
let said = [], requests = [];
context.on('console', (m) => said.push(`${m.type()}: ${m.text()}`));
context.on('weberror', (e) => said.push(`error: ${e.error()}`));
context.on('request', (r) => requests.push(r.url()));
await context.addInitScript(() => {
  window.violations = [];
  document.addEventListener('securitypolicyviolation', (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
});
const page = context.pages()[0] ?? await context.newPage();

// axe runs in a world of its own, where the page's policy does not apply to it.
async function checkAccess(name) {
  const session = await context.newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' });
  await session.send('Runtime.evaluate', { contextId: executionContextId, expression: axe });
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', { contextId: executionContextId, awaitPromise: true, returnByValue: true,
    expression: `axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations.map((v) =>
      v.id + ': ' + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + ' ' + (n.any[0] ? n.any[0].message : '')).join(' | ')))` });
  await session.detach();
  assert.ok(!exceptionDetails, JSON.stringify(exceptionDetails));
  assert.deepEqual(result.value, [], `${name}: axe`);
}

async function check(name, { picture = true } = {}) {
  for (const theme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: theme });
    await page.setViewportSize({ width: 1360, height: 860 });
    await page.waitForTimeout(60);
    await checkAccess(`${name} ${theme}`);
    if (shots && picture) await page.screenshot({ path: `${shots}/${name}-${theme}.png` });
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await page.waitForTimeout(120);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${name}: ${wide} px wider than a phone`);
  await checkAccess(`${name} phone`);
  if (shots && picture) await page.screenshot({ path: `${shots}/${name}-phone.png` });
  await page.setViewportSize({ width: 1360, height: 860 });
  await page.emulateMedia({ colorScheme: 'light' });
  assert.deepEqual(await page.evaluate(() => window.violations), [], `${name}: policy`);
  assert.deepEqual(said, [], `${name}: console`);
  assert.ok(!(await page.title()).includes('owned'), `${name}: script ran`);
  assert.equal(await page.locator('main img:not(.cm-widgetBuffer), main script').count(), 0, `${name}: markup of a label`);
  const foreign = requests.filter((r) => !r.startsWith(url) && !r.startsWith(quietUrl) && !/^(blob|data):/.test(r));
  assert.deepEqual(foreign, [], `${name}: requests elsewhere`);
  console.log(`${name}: ok`);
}
const open = (path, base = url) => page.goto(`${base}/${path}`);
const see = (text) => page.getByText(text, { exact: false }).first().waitFor();

// What takes many series to see: answers made up here. Times are told, not judged: machines differ.
async function manyRows() {
  const end = Math.floor(Date.now() / 1000), range = (n) => Array.from({ length: n }, (_, i) => i);
  const answer = (pattern, data) => page.route(pattern, (r) => r.fulfill({ contentType: 'application/json', body: JSON.stringify({ status: 'success', data }) }));
  const drawn = async (path, selector) => {
    await open(path);
    await page.locator(selector).first().waitFor();
    await page.waitForFunction(() => performance.getEntriesByName('graph').length);
    return page.evaluate(() => performance.getEntriesByName('graph').map((m) => Math.round(m.duration)).join());
  };
  await answer('**/query_range?*', { resultType: 'matrix', result: range(1000).map((k) => ({ metric: { __name__: 'm', host: `h${k}` },
    values: range(1000).map((i) => [end - (999 - i) * 10, String(k + Math.sin((i + k) / 30) * 50)]) })) });
  console.log(`1,000 series of 1,000 points drawn in ${await drawn(`query?g0.expr=m&g0.tab=graph&g0.range_input=9990s&g0.end_input=${end}&g0.res_type=fixed&g0.res_step=10`, '.plot canvas')} ms`);
  await page.unroute('**/query_range?*');
  await answer('**/query_range?*', { resultType: 'matrix', result: [{ metric: { job: 'x' }, histograms: range(60).map((i) => [end - (59 - i) * 5, { count: '9', sum: '9',
    buckets: [[0, '0.5', '1', String(i)], [0, '1', '2', '4'], [0, '2', '4', '1'], [3, '-0.001', '0.001', '1']] }]) }] });
  await open(`query?g0.expr=m&g0.tab=graph&g0.range_input=295s&g0.end_input=${end}&g0.res_type=fixed&g0.res_step=5`);
  await page.getByRole('button', { name: 'Heatmap', pressed: true }).waitFor();
  await page.locator('.plot .u-over').hover({ position: { x: 900, y: 60 } });
  await page.locator('.tip', { hasText: 'from 2 to 4' }).waitFor();
  await check('native');
  await page.unroute('**/query_range?*');
  await answer('**/api/v1/query?*', { resultType: 'vector', result: range(100000).map((k) => ({ metric: { __name__: 'm', host: `h${k}` }, value: [end, String(k)] })) });
  await open('query?g0.expr=m&g0.tab=table');
  await page.locator('.results .row').first().waitFor();
  assert.ok(await page.evaluate(() => document.querySelectorAll('*').length) < 20000, 'only what is near is there');
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  await see('h99999');
  await page.unroute('**/api/v1/query?*');
}

async function run() {
  // Now
  await open('');
  await see('HighLoad');
  const first = requests.filter((r) => !r.includes('query_range') && !r.startsWith('data:'));
  assert.ok(first.length <= 5, `first page: ${first.join(' ')}`);
  await page.locator('.alert.firing').nth(2).waitFor();
  assert.equal(await page.locator('.alert.pending').count(), 1);
  await page.getByText(/1 of [23] down/).waitFor();
  await page.locator('.spark svg').first().waitFor();
  await see('1 failing');
  await page.locator('.alert .row').first().click();
  await see('runbooks.example');
  await page.locator('.chip.warn', { hasText: /retry \d+ after HTTP 503/ }).first().waitFor();
  await page.locator('.chip.good', { hasText: /sent \d\d:\d\d/ }).first().waitFor();
  await page.locator('.stories li', { hasText: 'HTTP 503' }).waitFor();
  assert.equal(await page.locator('.chain > li').count(), 4);
  await page.locator('.strip', { hasText: /Ingest[\d.]+k?\/s/ }).waitFor();
  const values = async () => (await page.locator('.alert .c-since').allTextContents()).join();
  const before = await values(), asked = requests.length; // nothing is asked for: the stream tells
  await page.waitForFunction((old) => [...document.querySelectorAll('.alert .c-since')].map((e) => e.textContent).join() !== old, before);
  assert.deepEqual(requests.slice(asked).filter((r) => !/query_range|rules/.test(r)), []);
  assert.equal(await page.locator('a[href^="javascript"]').count(), 0);
  assert.equal(await page.locator('dd a[href="https://runbooks.example/high-load"]').count(), 1);
  await check('now');

  // Keys
  await page.keyboard.press('g');
  await page.keyboard.press('t');
  await page.waitForURL('**/targets');
  await page.keyboard.press('?');
  await page.locator('dialog[open]').waitFor();
  await check('keys');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+k');
  await page.locator('.palette [role=combobox]').fill('load');
  await page.locator('.palette [role=option]', { hasText: 'load' }).first().waitFor();
  await check('palette');
  await page.locator('.palette [role=combobox]').fill('explo');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/query');
  await page.goBack();
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('type')), 'search');

  // Targets
  await open('targets');
  await see('connection refused');
  await page.locator('.target.up').first().waitFor();
  await page.getByRole('link', { name: /1 of [23] down/ }).click();
  await page.waitForURL('**/targets?state=down');
  await page.locator('.target.up').first().waitFor({ state: 'detached' });
  await page.locator('.target.down .row').click();
  await see('discovered');
  await check('targets');
  await open('service-discovery');
  await see('dropped by relabelling');
  await page.locator('.target.dropped .row').click();
  await page.locator('.steps', { hasText: 'drops the target' }).waitFor();
  await check('discovery');

  // Queries: one that takes long is seen and ended
  await open('queries');
  await see('Since the start');
  await page.locator('.queries', { hasText: 'max by (job) (load)' }).waitFor();
  const long = fetch(`${url}/api/v1/query?query=${encodeURIComponent('sum_over_time(sum_over_time(timestamp(vector(time()))[1d:1s])[2d:1s])')}`);
  await page.getByRole('button', { name: /^Kill query/ }).click();
  const ended = await (await long).json();
  assert.equal(ended.status, 'error', 'the query that was killed');
  await see('No query runs');
  await check('queries');

  // Explore: a table, completion, an error, a graph
  await open('query');
  const box = page.locator('.cm-content');
  await box.click();
  await box.pressSequentially('loa');
  await page.locator('[role=option]', { hasText: 'load' }).first().waitFor();
  await box.pressSequentially('d{sha');
  await page.locator('[role=option]', { hasText: 'shard' }).first().waitFor();
  await page.keyboard.press('ArrowDown');
  await check('completion');
  await page.keyboard.press('Escape');
  await box.fill('load');
  await page.keyboard.press('Enter');
  await page.waitForURL('**g0.expr=load*');
  await page.locator('.results .row').nth(3).waitFor();
  await check('table');
  await box.fill('sum by (job (load)');
  await page.keyboard.press('Enter');
  await page.locator('.query-error pre').waitFor();
  await page.locator('.cm-error').waitFor();
  assert.equal(said.length, 1); // the browser itself says that the answer was 400
  assert.match(said.pop(), /status of 400/);
  await check('error');
  await open('query?g0.expr=load&g0.tab=graph&g0.range_input=30s&g1.expr=sum+by+(job)+(up)&g1.tab=0&g1.range_input=1m');
  await page.locator('.legend button').nth(4).waitFor();
  assert.equal(await page.locator('.plot canvas').count(), 2);
  await page.locator('.plot .u-over').first().hover({ position: { x: 1000, y: 100 } });
  await page.waitForTimeout(300);
  await check('graph');
  await page.locator('.legend button').first().click();
  assert.equal(await page.locator('.panel').first().locator('.legend button[aria-pressed=false]').count(), 3);
  await page.locator('.legend button').first().click();
  await page.getByRole('button', { name: 'Stacked' }).first().click();
  await page.waitForURL('**display_mode=stacked*');
  await check('stacked');
  await open('query?g0.expr=sum by (job) (rate(wait_seconds_count[5s])) / 2&g0.tab=explain&g0.range_input=1m');
  await page.locator('.nodes tbody tr').nth(2).waitFor();
  await page.locator('.nodes tbody tr').last().hover();
  await check('explain');
  await open('query?g0.expr=up{job="nowhere"}+%2B+1&g0.tab=explain');
  await see('no series matches');
  await open('graph?g0.expr=up&g0.tab=1');
  await page.waitForURL('**/query?g0.expr=up&g0.tab=1');
  await page.locator('.results .row').nth(1).waitFor();

  await open('query?g0.expr=rate(wait_seconds_bucket[5s])&g0.tab=graph&g0.range_input=30s');
  await page.getByRole('button', { name: 'Heatmap', pressed: true }).waitFor();
  await page.locator('.plot .u-over').hover({ position: { x: 1180, y: 100 } });
  await page.locator('.tip', { hasText: /from|up to/ }).waitFor();
  await check('heatmap');
  const plot = page.locator('.plot');
  await plot.focus();
  await page.keyboard.press('+');
  await page.waitForURL('**range_input=15s*');
  await open('query');
  await page.getByRole('button', { name: 'Metrics', exact: true }).click();
  await page.locator('.explorer [type=search]').fill('load');
  await page.locator('.names button').first().click();
  await page.locator('.label-values').first().waitFor();
  await check('metrics');
  await page.getByRole('button', { name: 'Query it' }).click();
  await page.waitForURL('**g0.expr=*');

  // Alerts, rules, status
  await open('alerts?search=load&state=firing');
  await page.locator('.rule').first().waitFor();
  assert.equal(await page.locator('.rules > .rule').count(), 1);
  await page.locator('[type=search]').fill('nothing of this');
  await see('No rule matches');
  assert.ok(page.url().includes('search=nothing'), page.url());
  await open('alerts');
  await see('Never');
  await check('alerts');
  await open('rules');
  await see('job:load:max');
  await page.locator('.rule.err .error').waitFor();
  await check('rules');
  await open('status');
  await see('Narthex');
  await see('Retention');
  await check('status');
  await open('tsdb-status');
  await see('Series by metric');
  await page.locator('.bars a').nth(8).waitFor();
  await page.getByRole('button', { name: /^drop… / }).first().click();
  await page.locator('.draft', { hasText: 'metric_relabel_configs' }).waitFor();
  await page.getByRole('button', { name: 'Compare with an hour ago' }).click();
  await see('how many more than an hour ago');
  await check('storage');
  await open('config');
  await see('scrape_configs');
  await check('config');
  await open('flags');
  await see('--storage.tsdb.path');
  await check('flags');
  await open('alertmanager-discovery');
  await see('No Alertmanager');
  await check('alertmanagers');

  await manyRows();

  // Without the stream the pages ask
  await page.route('**/api/v1/live?*', (r) => r.fulfill({ status: 503, body: '' }));
  await open('');
  await page.locator('.alert.firing').nth(2).waitFor();
  await page.locator('.strip', { hasText: '3 firing' }).waitFor();
  await open('targets');
  await see('connection refused');
  await page.locator('.target.down .row').click();
  await see('__metrics_path__');
  await page.unroute('**/api/v1/live?*');
  assert.deepEqual(said.filter((s) => !/status of 503/.test(s)), []);
  said = [];

  // Nothing wrong, under a prefix
  await open('', quietUrl);
  await see('Nothing is wrong');
  await check('quiet');
  await page.getByRole('link', { name: 'Explore', exact: true }).click();
  await page.waitForURL('**/prom/query');
}

try {
  await run();
} catch (e) {
  if (shots) await page.screenshot({ path: `${shots}/failed.png` });
  console.log(e.message, said);
  process.exitCode = 1;
} finally {
  await context.close();
}
