import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { metricsUrl, untilSeries } from '../helpers/metrics.ts';
import { PrometheusServer } from '../helpers/prometheus-server.ts';
import { until } from '../helpers/until.ts';

const root = join(import.meta.dirname, '..', '..');
const folder = join(root, 'examples', 'prometheus');

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Target {
  readonly expr: string;
  readonly legendFormat: string;
}

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

const rulesText = readFileSync(join(folder, 'hipache-alerts.yml'), 'utf8');
const alerts = (parse(rulesText) as { groups: { rules: Alert[] }[] }).groups.flatMap(({ rules }) => rules);
const dashboardText = readFileSync(join(root, 'examples', 'grafana', 'hipache.json'), 'utf8');
const dashboard = JSON.parse(dashboardText) as Dashboard;
const targets = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));
/** Without orders of certificates, there is none. */
const absent = 'hipache_certificate_orders_left';

function promtool(...args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
}

describe('the alerts of examples/prometheus', () => {
  it('are accepted by promtool, as is the configuration', () => {
    promtool('check', 'config', 'prometheus.yml');
  });

  it('fire when they should, and only then', () => {
    promtool('test', 'rules', 'hipache-alerts.test.yml');
  });

  it('are all tested, each for both', () => {
    const { tests } = parse(readFileSync(join(folder, 'hipache-alerts.test.yml'), 'utf8')) as {
      tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[];
    };
    const cases = tests.flatMap((test) => test.alert_rule_test);
    for (const fires of [true, false]) {
      const tested = cases
        .filter(({ exp_alerts }) => exp_alerts.length > 0 === fires)
        .map(({ alertname }) => alertname);
      assert.deepEqual([...new Set(tested)].sort(), alerts.map(({ alert }) => alert).sort());
    }
  });

  it('point to a section of docs/alerts.md each, and every section has its alert', () => {
    const page = readFileSync(join(root, 'docs', 'alerts.md'), 'utf8');
    const sections = [...page.matchAll(/^### (\w+)$/gm)].map(([, name = '']) => name);
    assert.deepEqual(
      sections,
      alerts.map(({ alert }) => alert),
    );
    for (const { alert, annotations, labels } of alerts) {
      assert.equal(annotations['runbook'], `docs/alerts.md#${alert.toLowerCase()}`);
      assert.match(labels['severity'] ?? '', /^(critical|warning|info)$/);
    }
  });
});

describe('the dashboard of examples/grafana', () => {
  it('has panels that do not overlap, each with its own id and the data source of the viewer', () => {
    const taken = new Set<string>();
    for (const { datasource, gridPos, title, type } of dashboard.panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      if (type !== 'row') assert.equal(datasource?.uid, `\${datasource}`, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!taken.has(`${x} ${y}`), title);
          taken.add(`${x} ${y}`);
        }
      }
    }
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
    const variables = dashboard.templating.list.map(({ name }) => name);
    const used = [...dashboardText.matchAll(/\$\{?(\w+)/g)].map(([, name = '']) => name);
    const unknown = used.filter((name) => !variables.includes(name) && !name.startsWith('__'));
    assert.deepEqual(unknown, []);
  });
});

describe('Prometheus with the examples, and an instance with traffic', () => {
  let home: HipacheHome;
  let backend: HttpBackend;
  let proxy: HipacheProcess;
  let prometheus: PrometheusServer;
  let exposition: string;

  before(async () => {
    home = new HipacheHome();
    backend = await HttpBackend.start('one');
    home.configure({ metrics: { port: 0 } }, { workers: 2 });
    await home.route('set', 'a.example', backend.url);
    await home.route('set', 'broken.example', 'http://127.0.0.1:1');
    proxy = await home.serve();
    const url = metricsUrl(proxy.output);
    await traffic();
    await untilSeries(url, 'hipache_responses_total{class="2xx"}', (value) => value >= 5);
    exposition = await (await fetch(url)).text();
    prometheus = await PrometheusServer.start(folder, new URL(url).host);
  });

  after(async () => {
    await prometheus.remove();
    await home.remove();
    await backend.stop();
  });

  async function traffic(): Promise<void> {
    for (let count = 0; count < 5; count++) assert.equal((await ask(proxy.port, 'a.example')).status, 200);
    assert.equal((await ask(proxy.port, 'broken.example')).status, 502);
  }

  /** As Grafana would send it for all instances. The window is shorter, since the test has few scrapes. */
  function resolved(expression: string): string {
    return expression.replaceAll('$__rate_interval', '1m').replaceAll('$job', 'hipache').replaceAll('$instance', '.*');
  }

  function assertExposed(text: string): void {
    const names = new Set([...exposition.matchAll(/^(hipache_\w+)/gm)].map(([, name = '']) => name));
    const used = [...text.matchAll(/\bhipache_\w+/g)].map(([name]) => name);
    assert.ok(used.length > 20);
    assert.deepEqual(
      used.filter((name) => !names.has(name) && name !== absent),
      [],
    );
  }

  it('finds no fault with the names, types and help texts of the metrics', () => {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: exposition,
      encoding: 'utf8',
    });
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
  });

  it('knows every metric that the alerts and the dashboard name', () => {
    assertExposed(alerts.map(({ expr }) => expr).join('\n'));
    assertExposed(
      [...targets, ...dashboard.annotations.list].map(({ expr }) => expr).join('\n') +
        dashboard.templating.list.map(({ definition = '' }) => definition).join('\n'),
    );
  });

  it('evaluates every alert, and each of their selectors has series', async () => {
    await until('the evaluation of all rules', async () =>
      (await prometheus.rules()).every(({ health }) => health !== 'unknown'),
    );
    const rules = await prometheus.rules();
    assert.equal(rules.length, alerts.length);
    for (const { health, lastError, name } of rules)
      assert.deepEqual([name, health, lastError], [name, 'ok', undefined]);
    const selectors = new Set([...rulesText.matchAll(/\bhipache_\w+(?:\{.*?"\})?/g)].map(([selector]) => selector));
    selectors.add('up{job="hipache"}');
    for (const selector of [...selectors].filter((name) => name !== absent)) {
      await until(`series of ${selector}`, async () => (await prometheus.query(selector)).length > 0);
    }
  });

  it('has results for every query of the dashboard, with the labels of its legend', async () => {
    // A rate needs two scrapes, with requests between them.
    await until('the rate of requests', async () => {
      await traffic();
      const rates = await prometheus.query('rate(hipache_host_requests_total{host="a.example"}[1m]) > 0');
      const failed = await prometheus.query('rate(hipache_request_errors_total{code!=""}[1m]) > 0');
      return rates.length > 0 && failed.length > 0;
    });
    assert.ok(targets.length > 50);
    for (const { expr, legendFormat, title } of targets) {
      const results = await prometheus.query(resolved(expr));
      if (expr.includes(absent)) continue;
      assert.notEqual(results.length, 0, `${title}: ${expr}`);
      const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
      for (const label of named)
        assert.ok(
          results.every(({ labels }) => label in labels),
          `${title}: ${label}`,
        );
    }
    for (const { expr } of dashboard.annotations.list) await prometheus.query(resolved(expr));
  });

  it('shows traffic and its figures', async () => {
    const figureOf = async (title: string): Promise<number> => {
      const target = targets.find((each) => each.title === title);
      assert.ok(target !== undefined, title);
      const [first] = await prometheus.query(resolved(target.expr));
      return first?.value ?? Number.NaN;
    };
    assert.equal(await figureOf('Workers that serve'), 1);
    assert.ok((await figureOf('Requests')) > 0);
    const share = await figureOf('Status 500 and above');
    assert.ok(share > 0 && share < 1, String(share));
    const slowest = await figureOf('95 % of requests within');
    assert.ok(slowest > 0 && slowest <= 60, String(slowest));
    assert.equal(await figureOf('Time without the store'), 0);
  });
});

it('every file of examples/prometheus is one of those that are tested', () => {
  assert.deepEqual(readdirSync(folder).sort(), ['hipache-alerts.test.yml', 'hipache-alerts.yml', 'prometheus.yml']);
});
