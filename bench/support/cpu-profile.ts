/** CPU profiles of all threads of a copy (`node --cpu-prof`), added up. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const INTERVAL_US = 200;
/** A sample that comes later than this came late because others had the core: their time is nobody's here. */
const SAMPLE_US_MAX = 5 * INTERVAL_US;

/** For node, which then writes one file for each thread into the folder. */
export function profileFlags(folder: string): readonly string[] {
  return ['--cpu-prof', '--cpu-prof-interval', `${INTERVAL_US}`, '--cpu-prof-dir', folder];
}

interface Frame {
  readonly functionName: string;
  readonly url: string;
}

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: Frame;
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface FunctionTime extends Frame {
  /** Of itself, without what it called, while it was not idle. */
  readonly selfSeconds: number;
}

export interface ProfileSums {
  /** Of all threads, idle time taken off. */
  readonly busySeconds: number;
  /** Samples with a function on the stack whose file matches, so that whatever it called and waited for is in it. */
  readonly matchedSeconds: number;
  /** The dearest first. */
  readonly functions: readonly FunctionTime[];
}

/** @param url of files that are looked for. */
export function readProfiles(folder: string, url: RegExp): ProfileSums {
  let busyUs = 0;
  let matchedUs = 0;
  const functions = new Map<string, Frame & { selfUs: number }>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'))) {
    const profile = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile;
    const matched = matchedNodes(profile, url);
    for (const [frame, us, id] of samplesOf(profile)) {
      busyUs += us;
      if (matched.has(id)) matchedUs += us;
      const key = `${frame.functionName} ${frame.url}`;
      const found = functions.get(key) ?? { ...frame, selfUs: 0 };
      found.selfUs += us;
      functions.set(key, found);
    }
  }
  return {
    busySeconds: busyUs / 1e6,
    matchedSeconds: matchedUs / 1e6,
    functions: [...functions.values()]
      .map(({ selfUs, ...frame }) => ({ ...frame, selfSeconds: selfUs / 1e6 }))
      .toSorted((a, b) => b.selfSeconds - a.selfSeconds),
  };
}

function* samplesOf({ nodes, samples, timeDeltas }: Profile): Generator<readonly [Frame, number, number]> {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame] as const));
  for (const [at, id] of samples.entries()) {
    const frame = frames.get(id);
    if (!frame || frame.functionName === '(idle)') continue;
    yield [
      { functionName: frame.functionName, url: frame.url },
      Math.min(timeDeltas[at] ?? 0, SAMPLE_US_MAX),
      id,
    ];
  }
}

function matchedNodes({ nodes }: Profile, url: RegExp): ReadonlySet<number> {
  const matched = new Set<number>();
  // A node comes before its children.
  for (const { id, callFrame, children = [] } of nodes) {
    if (url.test(callFrame.url)) matched.add(id);
    if (matched.has(id)) for (const child of children) matched.add(child);
  }
  return matched;
}
