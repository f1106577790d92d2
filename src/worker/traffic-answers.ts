import type { Clock } from '../base/clock.ts';
import type { SetTimer } from '../base/timer.ts';
import { answerStatistics, type StatisticsQuestion, type WorkerStatistics } from '../telemetry/host-statistics.ts';
import type { RequestMetrics } from '../telemetry/request-metrics.ts';

/** Rates and latencies are those of so long, in ms. */
const windowMs = 10_000;

/** Answers questions about the traffic of hosts, and turns the windows of its counts. */
export class TrafficAnswers {
  private readonly number: number;
  private readonly requests: Pick<RequestMetrics, 'tables' | 'turn'>;
  private readonly clock: Clock;
  private readonly setTimer: SetTimer;
  private readonly sinceMs: number;
  private stop: () => void = () => {};

  constructor(number: number, requests: Pick<RequestMetrics, 'tables' | 'turn'>, clock: Clock, setTimer: SetTimer) {
    this.number = number;
    this.requests = requests;
    this.clock = clock;
    this.setTimer = setTimer;
    this.sinceMs = clock.epochMs();
    this.turnLater();
  }

  answer(question: StatisticsQuestion): WorkerStatistics {
    const { clock, number, requests, sinceMs } = this;
    const offsetMs = clock.epochMs() - clock.monotonicMs();
    const answered = answerStatistics(requests.tables, question, (monotonicMs) => Math.round(monotonicMs + offsetMs));
    return { worker: number, sinceMs, windowMs, ...answered };
  }

  close(): void {
    this.stop();
  }

  private turnLater(): void {
    this.stop = this.setTimer(windowMs, () => {
      this.requests.turn();
      this.turnLater();
    });
  }
}
