import { type ProductName, productNames } from '../proxies/proxy.ts';
import { medianOf, type Result } from '../result.ts';
import { mainMetric } from './summary.ts';
import { element, escapeText, label, mark } from './svg.ts';
import { valueText } from './text.ts';
import { titles } from './titles.ts';

const width = 760;
const left = 190;
const right = 40;
const barHeight = 18;
const rowHeight = 28;

const forms = { hipache: 'disc', haproxy: 'square', nginx: 'diamond', caddy: 'triangle', npm: 'ring' } as const;

/** Scenarios of the lower part, where a proxy's cost over HAProxy's is shown. */
const compared: Readonly<Record<string, string>> = {
  small: 'small responses',
  headers: '100 header fields',
  'hosts-100k': '100,000 hosts',
  connections: 'new connections',
  'body-64k': 'responses of 64 KiB',
  'upload-64k': 'requests of 64 KiB',
  'body-10m': 'responses of 10 MiB',
  'upload-10m': 'requests of 10 MiB',
};

/** Readable on light and on dark pages, by the reader's setting. */
const style = `
text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
.page { fill: #ffffff } .title { font-weight: 600 } .quiet { fill: #59636e; font-size: 12px }
.line { stroke: #d1d9e0; stroke-width: 1 } .one { stroke: #59636e; stroke-width: 1.5 }
.hipache { fill: #0969da; stroke: #0969da } .haproxy { fill: #bc4c00; stroke: #bc4c00 }
.nginx { fill: #1a7f37; stroke: #1a7f37 } .caddy { fill: #8250df; stroke: #8250df } .npm { fill: #6e7781; stroke: #6e7781 }
.ring { fill: none; stroke-width: 2.5 } .bar { stroke: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .page { fill: #0d1117 } .quiet { fill: #9198a1 }
.line { stroke: #30363d } .one { stroke: #9198a1 }
.hipache { fill: #58a6ff; stroke: #58a6ff } .haproxy { fill: #f0883e; stroke: #f0883e }
.nginx { fill: #3fb950; stroke: #3fb950 } .caddy { fill: #bc8cff; stroke: #bc8cff } .npm { fill: #9198a1; stroke: #9198a1 }
.ring { fill: none } .bar { stroke: none }
}
`;

/** The picture of a result: CPU per small response for each proxy, and the cost of every scenario over HAProxy's. */
export function picture(result: Result): string {
  const bars = barsOf(result, 60);
  const ratios = ratiosOf(result, bars.height + 126);
  const height = bars.height + ratios.height + 146;
  const describe = 'CPU time per request of Hipache, HAProxy, nginx, Caddy and fast-proxy';
  return element(
    'svg',
    { xmlns: 'http://www.w3.org/2000/svg', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img' },
    `<title>${escapeText(describe)}</title><style>${style}</style>\n` +
      element('rect', { class: 'page', width, height, rx: 6 }) +
      bars.content +
      ratios.content,
  );
}

interface Part {
  readonly content: string;
  readonly height: number;
}

function barsOf(result: Result, top: number): Part {
  const values = productNames
    .map((proxy) => ({ proxy, value: medianOf(result, 'small', proxy, 'cpuUsPerRequest') }))
    .filter((one): one is { proxy: ProductName; value: number } => one.value !== null)
    .sort((a, b) => a.value - b.value);
  const most = Math.max(...values.map(({ value }) => value));
  const rows = values.map(({ proxy, value }, i) => {
    const y = top + i * rowHeight;
    const length = (value / most) * (width - left - right - 60);
    return (
      label(left - 12, y + 14, titles[proxy], 'text', 'end') +
      element('rect', { x: left, y, width: length, height: barHeight, rx: 2, class: `${proxy} bar` }) +
      label(left + length + 8, y + 14, `${valueText(value)} µs`)
    );
  });
  const head = label(20, top - 30, 'CPU per request, small responses', 'title');
  return {
    content: head + label(20, top - 12, 'less is better', 'quiet') + rows.join(''),
    height: rows.length * rowHeight,
  };
}

function ratiosOf(result: Result, top: number): Part {
  const rows = Object.entries(compared).flatMap(([scenario, title]) => {
    const ratios = productNames.flatMap((proxy) => {
      const ratio = costRatio(result, scenario, proxy);
      return ratio === null ? [] : [{ proxy, ratio }];
    });
    return ratios.length < 2 ? [] : [{ title, ratios }];
  });
  const all = rows.flatMap(({ ratios }) => ratios.map(({ ratio }) => Math.log2(ratio)));
  const low = Math.floor(Math.min(-1, ...all));
  const high = Math.ceil(Math.max(2, ...all));
  const xOf = (ratio: number) => left + ((Math.log2(ratio) - low) / (high - low)) * (width - left - right);
  const bottom = top + 30 + rows.length * rowHeight;
  const grid = Array.from({ length: high - low + 1 }, (_, i) => 2 ** (low + i)).map((ratio) => {
    const x = xOf(ratio);
    return (
      element('line', { x1: x, x2: x, y1: top + 22, y2: bottom, class: ratio === 1 ? 'one' : 'line' }) +
      label(x, bottom + 16, `${ratio} x`, 'quiet', 'middle')
    );
  });
  const marks = rows.map(({ title, ratios }, i) => {
    const y = top + 40 + i * rowHeight;
    // Hipache's last, so that nothing covers it.
    const inOrder = [...ratios].reverse();
    return (
      label(left - 12, y + 4, title, 'text', 'end') +
      inOrder.map(({ proxy, ratio }) => mark(forms[proxy], xOf(ratio), y, proxy)).join('')
    );
  });
  const legend = productNames.map((proxy, i) => {
    const x = left + i * 108;
    return mark(forms[proxy], x + 6, top - 4, proxy) + label(x + 18, top, titles[proxy], 'text');
  });
  const head =
    label(20, top - 30, 'CPU cost over that of HAProxy, per request or per byte', 'title') +
    label(20, top, 'left is better', 'quiet');
  return { content: head + legend.join('') + grid.join('') + marks.join(''), height: bottom - top };
}

/** What a proxy costs over what HAProxy costs. */
function costRatio(result: Result, scenario: string, proxy: ProductName): number | null {
  const metric = mainMetric(result, scenario);
  const own = medianOf(result, scenario, proxy, metric);
  const other = medianOf(result, scenario, 'haproxy', metric);
  if (own === null || other === null) return null;
  return metric === 'mibPerCpuSecond' ? other / own : own / other;
}
