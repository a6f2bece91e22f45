#!/usr/bin/env node
/**
 * Fleets of 10, 100 and 1,000 GPU workers on paper: `node scripts/bench/fleet-simulation.mjs [--seconds 1] [--json]`.
 * Events in time: workers fetch, compute and give back; one Redis serves one request after the other, links carry so many
 * bytes a second, submitters have so many cores. What each costs is measured by `scripts/bench/fleet.mjs`; the defaults
 * are those of docs/scale.md, and every one is an option.
 */
import { parseArgs } from 'node:util';

const DEFAULTS = {
  /** Seconds that a GPU computes for a plan; several, joined by commas. */
  seconds: '2,0.5',
  workers: '10,100,1000',
  /** CPU of Redis for a plan's way, and what its result's bytes add where they go through it. */
  redisMs: '1.3',
  redisResultMs: '1.5',
  /** CPU of the one who asks: planning, enqueuing, decoding, the file. */
  submitterMs: '58',
  submitterCores: '8',
  submitters: '1',
  /** CPU of a worker beside its computing: fetching, the PNG, giving back. */
  workerMs: '38',
  resultBytes: '450000',
  gigabits: '10',
  /** Milliseconds there and back. */
  roundTripMs: '0.5',
  concurrency: '2',
  /** Share by which computing times scatter. */
  scatter: '0.1',
  plansAWorker: '40',
};
const { values } = parseArgs({
  options: {
    ...Object.fromEntries(
      Object.entries(DEFAULTS).map(([name, value]) => [
        name,
        { type: /** @type {const} */ ('string'), default: value },
      ]),
    ),
    json: { type: 'boolean', default: false },
  },
});
/** @param {keyof typeof DEFAULTS} name */
const number = (name) => Number(values[name]);
/** @param {keyof typeof DEFAULTS} name */
const numbers = (name) => String(values[name]).split(',').map(Number);

/** The same numbers every time. @param {number} seed */
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
}

/** What happens when, earliest first: a binary heap. */
class Calendar {
  now = 0;
  /** @type {{ at: number, order: number, run: () => void }[]} */
  #heap = [];
  #order = 0;

  /** @param {number} at @param {() => void} run */
  add(at, run) {
    const heap = this.#heap;
    heap.push({ at, order: this.#order++, run });
    for (let i = heap.length - 1; i > 0; ) {
      const above = (i - 1) >> 1;
      if (!this.#isBefore(i, above)) break;
      this.#swap(i, above);
      i = above;
    }
  }

  /** @returns {boolean} whether something happened */
  next() {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined) return false;
    if (heap.length > 0) {
      heap[0] = last;
      for (let i = 0; ; ) {
        const [a, b] = [2 * i + 1, 2 * i + 2];
        let least = i;
        if (a < heap.length && this.#isBefore(a, least)) least = a;
        if (b < heap.length && this.#isBefore(b, least)) least = b;
        if (least === i) break;
        this.#swap(i, least);
        i = least;
      }
    }
    this.now = first.at;
    first.run();
    return true;
  }

  /** @param {number} a @param {number} b */
  #isBefore(a, b) {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    return x !== undefined && y !== undefined && (x.at < y.at || (x.at === y.at && x.order < y.order));
  }

  /** @param {number} a @param {number} b */
  #swap(a, b) {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    if (x !== undefined && y !== undefined) [this.#heap[a], this.#heap[b]] = [y, x];
  }
}

/** Something that serves one (or, with several hands, so many) at a time, first come, first served. */
class Server {
  busy = 0;
  /** @param {Calendar} calendar @param {number} hands */
  constructor(calendar, hands = 1) {
    this.calendar = calendar;
    this.free = new Array(hands).fill(0);
  }

  /** @param {number} seconds @param {() => void} then @returns {number} seconds until its turn */
  use(seconds, then) {
    const at = this.free.indexOf(Math.min(...this.free));
    const start = Math.max(this.calendar.now, this.free[at]);
    this.free[at] = start + seconds;
    this.busy += seconds;
    this.calendar.add(start + seconds, then);
    return start - this.calendar.now;
  }

  /** @param {number} span */
  load(span) {
    return this.busy / span / this.free.length;
  }
}

/** @param {number[]} sorted @param {number} share */
const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;

/** @param {number} workers @param {number} seconds @param {'queue' | 'store'} place */
function simulate(workers, seconds, place) {
  const calendar = new Calendar();
  const random = randomNumbers(workers);
  const redis = new Server(calendar);
  const link = new Server(calendar);
  const submitter = new Server(calendar, number('submitterCores') * number('submitters'));
  const gpus = Array.from({ length: workers }, () => new Server(calendar));
  const total = workers * number('plansAWorker');
  const window = (place === 'queue' ? 256 : 4096) * number('submitters');
  const [redisPart, trip] = [number('redisMs') / 1000 / 4, number('roundTripMs') / 1000];
  const carry = (number('resultBytes') * 8) / (number('gigabits') * 1e9);
  /** @type {number[]} */
  const waits = [];
  let asked = Math.min(window, total);
  let waiting = asked;
  let collected = 0;
  /** @type {(() => void)[]} */
  const idle = [];

  const ask = () => {
    if (asked === total) return;
    asked += 1;
    redis.use(redisPart, () => {
      waiting += 1;
      idle.pop()?.();
    });
  };
  const collect = () =>
    redis.use(redisPart + (place === 'queue' ? number('redisResultMs') / 2000 : 0), () =>
      link.use(carry, () =>
        submitter.use(number('submitterMs') / 1000, () => {
          collected += 1;
          ask();
        }),
      ),
    );
  /** @param {number} i */
  const work = (i) => {
    if (waiting === 0) {
      if (asked < total || collected < total) idle.push(() => work(i));
      return;
    }
    waiting -= 1;
    const fetched = redis.use(redisPart, () => {
      // Box and Muller's normal numbers.
      const normal = Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
      const computing = seconds * Math.exp(number('scatter') * normal);
      gpus[i]?.use(computing, () => calendar.add(calendar.now + number('workerMs') / 1000, () => give(i)));
    });
    waits.push(fetched);
  };
  /** @param {number} i */
  const give = (i) => {
    const toRedis = place === 'queue';
    const put = (/** @type {() => void} */ then) =>
      toRedis ? link.use(carry, () => redis.use(number('redisResultMs') / 2000, then)) : link.use(0, then);
    put(() => {
      const done = redis.use(redisPart, () => {
        collect();
        calendar.add(calendar.now + 2 * trip, () => work(i));
      });
      waits.push(done);
    });
  };
  for (let i = 0; i < workers; i += 1) for (let slot = 0; slot < number('concurrency'); slot += 1) work(i);
  while (calendar.next());
  const span = calendar.now;
  waits.sort((a, b) => a - b);
  const loads = {
    GPUs: gpus.reduce((sum, gpu) => sum + gpu.load(span), 0) / workers,
    Redis: redis.load(span),
    network: link.load(span),
    submitter: submitter.load(span),
  };
  const [[highest, share] = ['', 0]] = Object.entries(loads).sort(([, a], [, b]) => b - a);
  // With fewer plans in the fleet than it has hands, none of these is at its limit.
  const first = share < 0.9 && window < workers * number('concurrency') ? 'window' : highest;
  return {
    ...{ workers, seconds, place, plans: collected, perSecond: collected / span, loads, first },
    delayMs: { p50: 1000 * quantile(waits, 0.5), p99: 1000 * quantile(waits, 0.99) },
  };
}

const rows = numbers('seconds').flatMap((seconds) =>
  numbers('workers').flatMap((workers) =>
    /** @type {const} */ (['queue', 'store']).map((place) => simulate(workers, seconds, place)),
  ),
);
if (values.json) console.log(JSON.stringify(rows, null, 2));
else {
  console.log(
    '| GPU workers | s a plan | results | plans/s | GPUs | Redis | network | submitter | wait for Redis p50/p99 | first at its limit |',
  );
  console.log('|---:|---:|---|---:|---:|---:|---:|---:|---:|---|');
  const percent = (/** @type {number} */ share) => `${Math.round(100 * share)} %`;
  for (const { workers, seconds, place, perSecond, loads, delayMs, first } of rows) {
    const shares = [loads.GPUs, loads.Redis, loads.network, loads.submitter].map(percent).join(' | ');
    const wait = `${delayMs.p50.toFixed(1)} / ${delayMs.p99.toFixed(1)} ms`;
    console.log(`| ${workers} | ${seconds} | ${place} | ${perSecond.toFixed(1)} | ${shares} | ${wait} | ${first} |`);
  }
}
