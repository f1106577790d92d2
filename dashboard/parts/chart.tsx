import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';

/** One line of a chart. */
export interface Series {
  readonly name: string;
  /** The name of a property of the style sheet. */
  readonly color: string;
  readonly values: readonly (number | null)[];
}

const height = 160;

function clockTime(epochSeconds: number): string {
  const time = new Date(epochSeconds * 1000).toLocaleTimeString('en-GB');
  return time.endsWith(':00') ? time.slice(0, -3) : time;
}

/** Lines over time. The text under it says the last values, for those who do not see it. */
export function Chart({
  title,
  times,
  series,
  format,
}: {
  readonly title: string;
  /** Epoch seconds. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
}): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const names = series.map(({ name }) => name).join();
  useEffect(() => {
    const { current } = place;
    if (current === null) return;
    const make = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(current, series, format), dataOf(times, series), current);
    };
    make();
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: current.clientWidth, height }));
    observer.observe(current);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', make);
    return () => {
      observer.disconnect();
      scheme.removeEventListener('change', make);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [names]);
  useEffect(() => plot.current?.setData(dataOf(times, series)), [times, series]);
  const last = series.map(({ name, values }) => {
    const value = values.at(-1) ?? null;
    return `${name} ${value === null ? '–' : format(value)}`;
  });
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <div ref={place} class="chart" aria-hidden="true" />
      <p class="legend">
        {series.map(({ color, name }, index) => (
          <span>
            <i class="swatch" style={{ background: `var(${color})` }} aria-hidden="true" />
            {last[index] ?? name}
          </span>
        ))}
      </p>
    </figure>
  );
}

function dataOf(times: readonly number[], series: readonly Series[]): uPlot.AlignedData {
  return [[...times], ...series.map(({ values }) => [...values])];
}

function optionsOf(place: HTMLElement, series: readonly Series[], format: (value: number) => string): uPlot.Options {
  const style = getComputedStyle(place);
  const property = (name: string): string => style.getPropertyValue(name).trim();
  const axis = { stroke: property('--quiet'), grid: { stroke: property('--line'), width: 1 }, ticks: { show: false } };
  return {
    width: place.clientWidth,
    height,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] } },
    axes: [
      { ...axis, space: 80, values: (_, values) => values.map(clockTime) },
      { ...axis, size: 60, values: (_, values) => values.map(format) },
    ],
    series: [
      {},
      ...series.map(({ color, name }) => ({
        label: name,
        stroke: property(color),
        width: 1.5,
        points: { show: false },
      })),
    ],
  };
}
