/** A whole pass with `--delete-extra` over stores in memory, and what came of it. */
import { ExtraDeletion } from '../../../src/coordinator/delete-extra.ts';
import { Gathered } from '../../../src/coordinator/summary.ts';
import type { CopyEvent } from '../../../src/core/events.ts';
import type { CopyException, CopySummary } from '../../../src/core/job.ts';
import { type CopyWorld, inWorld, type WorldOptions } from '../copy/copy-world.ts';
import { blobPath, layerLinkPath, linkText, revisionLinkPath, tagPath } from '../copy/registry-names.ts';

export interface DeletionOptions {
  readonly deleteMax?: number;
  /** As the journal of an interrupted run has it. */
  readonly removing?: readonly string[];
  /** What shards name besides what they found. */
  readonly named?: readonly string[];
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: CopyEvent) => void;
}

export interface DeletionRun {
  readonly summary: CopySummary;
  readonly exceptions: readonly CopyException[];
  /** Each note in the journal, the last one what it holds now. */
  readonly notes: readonly (readonly string[])[];
}

/** A frozen world whose shards tell what only the target has. */
export function inDeletionWorld(
  options: WorldOptions,
  test: (world: CopyWorld) => Promise<void>,
): Promise<void> {
  return inWorld({ isFrozen: true, extrasMax: 100, ...options }, test);
}

export async function passAndDelete(world: CopyWorld, given: DeletionOptions = {}): Promise<DeletionRun> {
  const { counters, ctx, sourcePrefix, targetPrefix } = world;
  const gathered = new Gathered(counters);
  const deletion = new ExtraDeletion({ deletesExtra: true, deleteMax: given.deleteMax ?? 1_000 });
  for (const outcome of await world.pass()) {
    gathered.planned(1);
    gathered.add(outcome);
    deletion.found.add(outcome);
    gathered.done();
  }
  deletion.found.add({ exceptions: [], leftOut: [], warnings: [], extras: given.named ?? [] });
  const signal = given.signal ?? ctx.signal;
  const notes: (readonly string[])[] = [];
  const exceptions: CopyException[] = [];
  const journal = {
    get removing() {
      return notes.at(-1) ?? given.removing ?? [];
    },
    set removing(paths: readonly string[]) {
      notes.push(paths);
    },
  };
  const done = await deletion.run(
    { signal },
    {
      source: ctx.source,
      target: ctx.target,
      layout: ctx.layout,
      sourcePrefix,
      targetPrefix,
      concurrency: 4,
      gathered,
      journal,
      noteExceptions: (more) => void exceptions.push(...more),
      onEvent: given.onEvent ?? (() => undefined),
    },
  );
  const summary = gathered.summary({
    ...done,
    source: 'source',
    target: 'target',
    layout: ctx.layout.name,
    engine: 'direct',
    serverSide: { way: 'none', why: '' },
    binding: '',
    isFrozen: true,
    isStopped: signal.aborted,
    uploadsOpen: 0,
    seconds: 1,
    journal: '',
  });
  return { summary, exceptions, notes };
}

/** The paths of an image's links and of its tag, which tags come last of. */
export function imagePaths(repository: string, tag: string): readonly string[] {
  const content = `image ${repository}:${tag}`;
  const index = tagPath(repository, tag).replace('current/link', `index/sha256/${blobHex(content)}/link`);
  return [
    layerLinkPath(repository, content),
    revisionLinkPath(repository, content),
    index,
    tagPath(repository, tag),
  ];
}

/** On both sides, or in the target only. */
export function putImage(
  world: CopyWorld,
  repository: string,
  tag: string,
  where: 'both' | 'target' = 'both',
): void {
  const content = `image ${repository}:${tag}`;
  const objects = [
    [blobPath(content), content],
    ...imagePaths(repository, tag).map((path) => [path, linkText(content)] as const),
  ] as const;
  for (const [path, text] of objects) {
    if (where === 'both') world.put(path, text);
    world.putTarget(path, text);
  }
}

function blobHex(content: string): string {
  return /([0-9a-f]{64})\/data$/.exec(blobPath(content))?.[1] ?? '';
}

/** Logical paths in the target, sorted. */
export function inTargetNow(world: CopyWorld): readonly string[] {
  return world.target
    .keys()
    .map((key) => key.slice(world.targetPrefix.length))
    .sort();
}
