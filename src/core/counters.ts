/**
 * Counters that workers write and the coordinator reads, in shared memory. Each thread owns one row of doubles and is
 * its only writer, so a plain store is enough; readers add the rows up. Doubles hold integers exactly to 2^53.
 */

export const SIDES = ['source', 'target'] as const;
export type Side = (typeof SIDES)[number];

export const OPERATIONS = [
  'list',
  'stat',
  'read',
  'write',
  'copy',
  'begin',
  'part',
  'complete',
  'abort',
  'remove',
  'flush',
] as const;
export type Operation = (typeof OPERATIONS)[number];

/** `ok`, or why a request did not succeed: refused by the caller's fault, throttled, the server's fault, no answer. */
export const OUTCOMES = ['ok', 'client_error', 'throttled', 'server_error', 'network'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const CLASSES = ['blob', 'link', 'tag', 'other'] as const;
export type CounterClass = (typeof CLASSES)[number];

/** What became of an object; the words of the summary. `conflict`: the target holds different immutable content. */
export const OBJECT_STATES = [
  'copied',
  'skipped',
  'failed',
  'damaged',
  'vanished',
  'unsettled',
  'conflict',
] as const;
export type ObjectState = (typeof OBJECT_STATES)[number];

/** Upper bounds of the latency histogram, in seconds. */
export const LATENCY_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;

export const GAUGES = ['bytesInFlight', 'objectsInFlight', 'workersBusy', 'slabBytesUsed'] as const;
export type Gauge = (typeof GAUGES)[number];

const PLAIN = [
  'unproved',
  /** Of what was copied: by what it is known to be right; `unproved` is the rest. */
  'provedDigest',
  'provedService',
  'provedStored',
  'provedTwice',
  'provedReadBack',
  /** Copied inside the service, and their bytes. */
  'serverSide',
  'bytesServerSide',
  /** Copies inside the service that turned out wrong, and those whose end nobody saw. */
  'serverCopiesWrong',
  'serverCopiesUnseen',
  'leftOut',
  'listedSource',
  'listedTarget',
  'sortedShards',
  'restartedObjects',
  /** Bytes that were changed on their way, which was noticed: read again, or sent again. */
  'wrongReads',
  'wrongWrites',
  /** Parts of continued uploads that did not have to be sent again, and their bytes. */
  'partsReused',
  'bytesReused',
] as const;
export type PlainCounter = (typeof PLAIN)[number];

/** What whoever goes through the same keys again counts again. */
const FOUND_AGAIN: readonly PlainCounter[] = ['leftOut', 'listedSource'];

type Slot = string;

function allSlots(): readonly Slot[] {
  const slots: Slot[] = [];
  for (const objectClass of CLASSES) {
    for (const state of OBJECT_STATES)
      slots.push(`objects/${state}/${objectClass}`, `bytes/${state}/${objectClass}`);
  }
  for (const name of PLAIN) slots.push(`count/${name}`);
  for (const name of GAUGES) slots.push(`gauge/${name}`);
  for (const side of SIDES) {
    slots.push(`wire/${side}`);
    for (const operation of OPERATIONS) {
      slots.push(`retries/${side}/${operation}`);
      for (const outcome of OUTCOMES) slots.push(`requests/${side}/${operation}/${outcome}`);
      // One slot per bucket and one for everything slower, then the sum of seconds.
      for (let bucket = 0; bucket <= LATENCY_BUCKETS.length; bucket += 1) {
        slots.push(`latency/${side}/${operation}/${bucket}`);
      }
      slots.push(`latencySum/${side}/${operation}`);
    }
  }
  return slots;
}

const SLOTS = allSlots();
const INDEX: ReadonlyMap<Slot, number> = new Map(SLOTS.map((slot, index) => [slot, index]));

function indexOf(slot: Slot): number {
  const index = INDEX.get(slot);
  if (index === undefined) throw new RangeError(`No counter slot "${slot}"`);
  return index;
}

/** Shared memory for `rows` threads; a thread takes the next free row when it starts. */
export interface CounterMemory {
  readonly values: SharedArrayBuffer;
  /** One 32-bit cell: the next row to hand out. */
  readonly nextRow: SharedArrayBuffer;
  readonly rows: number;
}

export function allocateCounters(rows: number): CounterMemory {
  return {
    values: new SharedArrayBuffer(rows * SLOTS.length * Float64Array.BYTES_PER_ELEMENT),
    nextRow: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
    rows,
  };
}

/** Where the counters of one sort of request begin. */
interface RequestSlots {
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly latency: number;
  readonly latencySum: number;
}

function tableOf<K extends string, V>(keys: readonly K[], make: (key: K) => V): Readonly<Record<K, V>> {
  return Object.fromEntries(keys.map((key) => [key, make(key)])) as Record<K, V>;
}

/** Names are put together here, once: counted is several times per object. */
const OBJECT_SLOTS = tableOf(OBJECT_STATES, (state) =>
  tableOf(CLASSES, (objectClass) => indexOf(`objects/${state}/${objectClass}`)),
);
const PLAIN_SLOTS = tableOf(PLAIN, (name) => indexOf(`count/${name}`));
const GAUGE_SLOTS = tableOf(GAUGES, (name) => indexOf(`gauge/${name}`));
const WIRE_SLOTS = tableOf(SIDES, (side) => indexOf(`wire/${side}`));
const REQUEST_SLOTS = tableOf(SIDES, (side) =>
  tableOf(
    OPERATIONS,
    (operation): RequestSlots => ({
      outcomes: tableOf(OUTCOMES, (outcome) => indexOf(`requests/${side}/${operation}/${outcome}`)),
      latency: indexOf(`latency/${side}/${operation}/0`),
      latencySum: indexOf(`latencySum/${side}/${operation}`),
    }),
  ),
);

/** One thread's row, for ever; whoever allocates must have one for each thread there may ever be. */
export class CounterWriter {
  /** Which one it is. */
  readonly row: number;
  readonly #row: Float64Array;

  constructor(memory: CounterMemory) {
    this.row = Atomics.add(new Int32Array(memory.nextRow), 0, 1);
    this.#row = valuesOfRow(memory, this.row);
  }

  /** A copy of the row, less what another one holds. */
  values(less?: CounterWriter): Float64Array {
    const copy = this.#row.slice();
    if (less) for (let at = 0; at < copy.length; at += 1) copy[at] = (copy[at] ?? 0) - (less.#row[at] ?? 0);
    return copy;
  }

  clear(): void {
    this.#row.fill(0);
  }

  object(state: ObjectState, objectClass: CounterClass, bytes: number, count = 1): void {
    const at = OBJECT_SLOTS[state][objectClass];
    this.#add(at, count);
    this.#add(at + 1, bytes);
  }

  count(name: PlainCounter, by = 1): void {
    this.#add(PLAIN_SLOTS[name], by);
  }

  gauge(name: Gauge, by: number): void {
    this.#add(GAUGE_SLOTS[name], by);
  }

  wire(side: Side, bytes: number): void {
    this.#add(WIRE_SLOTS[side], bytes);
  }

  retry(side: Side, operation: Operation): void {
    this.#add(indexOf(`retries/${side}/${operation}`), 1);
  }

  request(side: Side, operation: Operation, outcome: Outcome, seconds: number): void {
    const { outcomes, latency, latencySum } = REQUEST_SLOTS[side][operation];
    this.#add(outcomes[outcome], 1);
    let bucket = 0;
    while (bucket < LATENCY_BUCKETS.length && seconds > (LATENCY_BUCKETS[bucket] ?? 0)) bucket += 1;
    this.#add(latency + bucket, 1);
    this.#add(latencySum, seconds);
  }

  #add(index: number, by: number): void {
    this.#row[index] = (this.#row[index] ?? 0) + by;
  }
}

function valuesOfRow({ values, rows }: CounterMemory, row: number): Float64Array {
  if (!(row >= 0 && row < rows)) throw new RangeError(`There is no counter row ${row} of ${rows}`);
  return new Float64Array(values, row * SLOTS.length * Float64Array.BYTES_PER_ELEMENT, SLOTS.length);
}

/**
 * Sets the row of a thread that died back to what it was at `values`, for another thread that goes on from there. Each
 * object is then counted once, as what happened to it first: what was copied since stays counted and is taken from
 * `skipped` in advance, because it will be found equal. Gauges go to 0. Requests and what else did happen stay.
 */
export function restoreRow(memory: CounterMemory, row: number, values: Float64Array): void {
  const live = valuesOfRow(memory, row);
  const set = (slot: Slot, value: number): void => {
    live[indexOf(slot)] = value;
  };
  const was = (slot: Slot): number => values[indexOf(slot)] ?? 0;
  for (const objectClass of CLASSES) {
    for (const what of ['objects', 'bytes']) {
      const copied = `${what}/copied/${objectClass}`;
      const since = (live[indexOf(copied)] ?? 0) - was(copied);
      for (const state of OBJECT_STATES) {
        const slot = `${what}/${state}/${objectClass}`;
        if (state === 'skipped') set(slot, was(slot) - since);
        else if (state !== 'copied') set(slot, was(slot));
      }
    }
  }
  for (const name of FOUND_AGAIN) set(`count/${name}`, was(`count/${name}`));
  for (const name of GAUGES) set(`gauge/${name}`, 0);
}

/** Sums over all threads, for progress, metrics and the summary. */
export class CounterReader {
  readonly #values: Float64Array;
  readonly #rows: number;

  constructor(memory: CounterMemory) {
    this.#values = new Float64Array(memory.values);
    this.#rows = memory.rows;
  }

  objects(state: ObjectState, objectClass?: CounterClass): number {
    return this.#overClasses('objects', state, objectClass);
  }

  bytes(state: ObjectState, objectClass?: CounterClass): number {
    return this.#overClasses('bytes', state, objectClass);
  }

  count(name: PlainCounter): number {
    return this.#sum(indexOf(`count/${name}`));
  }

  gauge(name: Gauge): number {
    return this.#sum(indexOf(`gauge/${name}`));
  }

  wire(side: Side): number {
    return this.#sum(indexOf(`wire/${side}`));
  }

  retries(side: Side, operation: Operation): number {
    return this.#sum(indexOf(`retries/${side}/${operation}`));
  }

  requests(side: Side, operation: Operation, outcome: Outcome): number {
    return this.#sum(indexOf(`requests/${side}/${operation}/${outcome}`));
  }

  /** Counts per bucket (not cumulative; the last is everything slower than the largest bound) and the sum of seconds. */
  latency(
    side: Side,
    operation: Operation,
  ): { readonly buckets: readonly number[]; readonly sumSeconds: number } {
    const first = indexOf(`latency/${side}/${operation}/0`);
    const buckets = Array.from({ length: LATENCY_BUCKETS.length + 1 }, (_, bucket) =>
      this.#sum(first + bucket),
    );
    return { buckets, sumSeconds: this.#sum(indexOf(`latencySum/${side}/${operation}`)) };
  }

  #overClasses(what: 'objects' | 'bytes', state: ObjectState, objectClass?: CounterClass): number {
    const classes = objectClass ? [objectClass] : CLASSES;
    let sum = 0;
    for (const one of classes) sum += this.#sum(indexOf(`${what}/${state}/${one}`));
    return sum;
  }

  #sum(index: number): number {
    let sum = 0;
    for (let row = 0; row < this.#rows; row += 1) sum += this.#values[row * SLOTS.length + index] ?? 0;
    return sum;
  }
}
