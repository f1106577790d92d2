import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { commandOf } from '../../bench/command.ts';
import { readOptions } from '../../bench/options.ts';
import { pairedFigures, turnsOf } from '../../bench/pairs.ts';

describe('rounds of two checkouts, in pairs', () => {
  test('the ratio is the median of the ratios of the rounds, not the ratio of the medians', () => {
    const hipache = [{ cpuUsPerRequest: 10 }, { cpuUsPerRequest: 30 }, { cpuUsPerRequest: 22 }];
    const against = [{ cpuUsPerRequest: 10 }, { cpuUsPerRequest: 20 }, { cpuUsPerRequest: 25 }];
    assert.deepEqual(pairedFigures('small', hipache, against), [
      {
        scenario: 'small',
        metric: 'cpuUsPerRequest',
        hipache: 22,
        against: 20,
        ratio: { median: 1, min: 0.88, max: 1.5, ofPairs: [1, 1.5, 0.88] },
      },
    ]);
  });

  test('a round that one of them lacks is in no pair', () => {
    const [figure] = pairedFigures('small', [{ p50Us: 1 }, {}, { p50Us: 6 }], [{ p50Us: 2 }, { p50Us: 9 }]);
    assert.equal(figure?.hipache, 1);
    assert.equal(figure?.against, 2);
    assert.deepEqual(figure?.ratio?.ofPairs, [0.5]);
  });

  test('figures that are 0 throughout are omitted, and those that are 0 on one side have no ratio', () => {
    assert.deepEqual(pairedFigures('tunnels', [{ closed: 0 }, { closed: 0 }], [{ closed: 0 }, { closed: 0 }]), []);
    const [figure] = pairedFigures('tunnels', [{ closed: 3 }], [{ closed: 0 }]);
    assert.deepEqual(figure, { scenario: 'tunnels', metric: 'closed', hipache: 3, against: 0, ratio: null });
  });

  test('only figures of which less or more is better are paired, and no rate that the load determines', () => {
    const sample = { requestsPerSecond: 100, ratePerSecond: 100, requests: 100, p99Us: 5, p999Us: 9, failed: 1 };
    const metrics = (one: typeof sample | { requestsPerSecond: number }) =>
      pairedFigures('latency-50', [one], [one]).map(({ metric }) => metric);
    assert.deepEqual(metrics(sample), ['p99Us']);
    assert.deepEqual(metrics({ requestsPerSecond: 100 }), ['requestsPerSecond']);
  });

  test('a scenario in which one of them took no part gives no result', () => {
    assert.deepEqual(pairedFigures('small', [{ p50Us: 1 }], []), []);
  });

  test('they swap places in every second round', () => {
    assert.deepEqual(turnsOf(['hipache', 'against', 'nginx'], 1), ['hipache', 'against', 'nginx']);
    assert.deepEqual(turnsOf(['hipache', 'against', 'nginx'], 2), ['against', 'hipache', 'nginx']);
    assert.deepEqual(turnsOf(['hipache', 'against', 'nginx'], 3), ['hipache', 'against', 'nginx']);
    assert.deepEqual(turnsOf(['hipache', 'nginx'], 2), ['hipache', 'nginx']);
  });
});

describe('the command line of a run with another checkout', () => {
  test('the two checkouts take part, and others if they are named', () => {
    assert.deepEqual(proxiesOf(['--against', 'HEAD']), ['hipache', 'against']);
    assert.deepEqual(proxiesOf(['--against', 'HEAD', '--proxies', 'haproxy,nginx']), [
      'hipache',
      'against',
      'nginx',
      'haproxy',
    ]);
  });

  test('without it there is no other checkout', () => {
    assert.deepEqual(proxiesOf([]), ['hipache', 'nginx', 'haproxy', 'caddy', 'npm']);
    assert.deepEqual(proxiesOf(['--short']), ['hipache', 'nginx', 'haproxy']);
    assert.throws(() => readOptions(['--proxies', 'against']), /"against" is none of/);
  });

  test('a result keeps its revision but no path', () => {
    const revision = '0123456789ab';
    assert.equal(
      commandOf(['--against', '../other', '--json=/somewhere/a.json'], revision),
      `npm run bench -- --against ${revision} --json=a.json`,
    );
    assert.equal(commandOf(['--against=/somewhere/other'], revision), `npm run bench -- --against=${revision}`);
    assert.equal(commandOf([], null), 'npm run bench');
  });
});

function proxiesOf(args: readonly string[]): readonly string[] {
  const options = readOptions(args);
  assert.equal(options.kind, 'run');
  return options.kind === 'run' ? options.proxies : [];
}
