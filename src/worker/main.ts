// The program of a worker process: the primary starts it and tells it over IPC what to serve.
import { WorkerLink } from '../processes/worker-link.ts';
import { Worker } from './worker.ts';

new WorkerLink((start, link) => Worker.start(start, link)).run();
