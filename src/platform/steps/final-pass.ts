/** The pass over the read-only source, and the proof that the target has all of it. */
import { BlobferryError } from '../../core/errors.ts';
import type { Named, PassReport, VerifyReport } from '../engine-port.ts';
import type { Json } from '../saga/saga-log.ts';
import type { Checked, Effect, Step } from '../saga/step.ts';
import { type EngineSite, inEpoch, withDigests } from './engine-steps.ts';
import { DAMAGE, damageText, FINAL_PASS, keptDamage } from './known-damage.ts';
import { countsIn, demandGood, LIVE, type SeenLive, seenLive } from './live-passes.ts';

/** @param damageMax so many damaged objects of the source are left out knowingly. */
export function finalPass(site: EngineSite, deleteMax: number, damageMax = 0): Step {
  return {
    id: FINAL_PASS,
    title: 'Copy the rest, and remove links and tags that the source no longer has',
    changes: 'Writes to the target and removes from it, never blobs',
    kind: 'read',
    restsOn: [site.window],
    check: async ({ memory }) => ({ is: memory.get('pass') === undefined ? 'todo' : 'done' }),
    do: async (ctx) => {
      const digests = withDigests(site, ctx);
      const report = await inEpoch(site, ctx, (call, epoch) =>
        site.engine.runPass(call, { kind: 'frozen', epoch, deleteMax, damageMax, ...digests }),
      );
      demandGood(report, 'The final pass');
      ctx.memory.keep(DAMAGE, report.damage as unknown as Json);
      const seen = seenLive(ctx.memoryOf(LIVE));
      if (digests.digests !== undefined) demandNoNewHoles(report.digestsLacking, seen);
      demandSomething(report, seen);
      if (site.keepsBlobs) demandAllBlobs(report, seen);
      ctx.memory.keep('pass', passText(report));
    },
    effect: async ({ memory }) => shownBy(memory.get('pass'), 'no final pass came to a good end'),
  };
}

/** @param damageMax as the final pass was told; a later run may have been told less. */
export function verifyStep(site: EngineSite, damageMax = 0): Step {
  return {
    id: 'verify',
    title: 'Compare all of the target with the source, and read back what was written',
    changes: '',
    kind: 'read',
    restsOn: [site.window],
    check: async ({ memory, memoryOf }): Promise<Checked> => {
      if (memory.get('verified') !== undefined) return { is: 'done' };
      const damage = keptDamage(memoryOf(FINAL_PASS));
      if (damage.length <= damageMax) return { is: 'todo' };
      const why = `The final pass left out what is damaged in the source${damageText(damage)}`;
      return { is: 'blocked', why, hint: `Run the same migration with --accept-damage ${damage.length}` };
    },
    do: async (ctx) => {
      const digests = withDigests(site, ctx);
      const damage = keptDamage(ctx.memoryOf(FINAL_PASS));
      const known = damage.map(({ path }) => path);
      const all = await inEpoch(site, ctx, (call, epoch) =>
        site.engine.verifyAll(call, { epoch, known, ...digests }),
      );
      demandGood(all, 'The target is not shown to be the source');
      if (all.rows) demandNoNewHoles(all.rows.lackingInSource, seenLive(ctx.memoryOf(LIVE)));
      const written = await inEpoch(site, ctx, (call, epoch) =>
        site.engine.verifyWritten(call, { epoch, known, ...digests }),
      );
      demandGood(written, 'What was written is not shown to be right');
      ctx.memory.keep(
        'verified',
        `${verifiedText(all)}; ${written.objectsChecked} written objects read back${damageText(damage)}`,
      );
    },
    effect: async ({ memory }) => shownBy(memory.get('verified'), 'the target is not verified'),
  };
}

const MOUNTED = 'See that the old storage is there as a whole (a folder that is mounted), and run again';

/**
 * A blob that nobody could pull before is none of the copy's. But nothing collects garbage meanwhile: one that came to be
 * missing while we copied is in a source that is not seen whole, such as a folder that is not mounted any more. Where
 * nobody has looked before, nobody knows which it is.
 * @param holes blobs that the metadata names and the source lacks.
 * @throws BlobferryError
 */
function demandNoNewHoles(holes: Named, { lacking }: SeenLive): void {
  if (holes.count <= (lacking ?? 0)) return;
  const named = `The source lacks ${holes.count} blobs that the metadata names`;
  if (lacking === undefined) {
    throw new BlobferryError(
      `${named}, and no live pass has seen that it did before: ${holes.first.join(', ')}`,
      {
        hint: `${MOUNTED}. Where they have been missing for long, run a live pass first: it counts them (passes: 1)`,
      },
    );
  }
  throw new BlobferryError(
    `${named}, and lacked ${lacking} in the last live pass: ${holes.first.join(', ')}`,
    { hint: MOUNTED },
  );
}

/**
 * Of a source that lost all its tags, or all its blobs, since a live pass, one of its folders is gone. What was removed from
 * the target for it is copied by the next final pass.
 * @throws BlobferryError
 */
function demandSomething(report: PassReport, seen: SeenLive): void {
  const counts = countsIn(report);
  for (const [what, count, before = 0] of [
    ['blob', counts?.blobs, seen.blobs],
    ['link, tag or other name', counts?.names, seen.names],
  ] as const) {
    if (count !== 0 || before === 0) continue;
    throw new BlobferryError(`The source has no ${what} any more, and had ${before} in a live pass`, {
      hint: MOUNTED,
    });
  }
}

/** The same without a backup that names them. @throws BlobferryError */
function demandAllBlobs(report: PassReport, { blobs: before }: SeenLive): void {
  const blobs = countsIn(report)?.blobs;
  if (blobs === undefined || before === undefined || blobs >= before) return;
  throw new BlobferryError(
    `The source has ${blobs} blobs, and had ${before} in a live pass, although nothing collects garbage`,
    { hint: MOUNTED },
  );
}

function shownBy(kept: unknown, why: string): Effect {
  return typeof kept === 'string' ? { is: 'shown', evidence: kept } : { is: 'missing', why };
}

function passText(report: PassReport): string {
  const { objectsListed, objectsChanged, bytesChanged, objectsDeleted, damage } = report;
  return `${objectsListed} objects, ${objectsChanged} changed (${bytesChanged} bytes), ${objectsDeleted} removed from the target${damageText(damage)}`;
}

function verifiedText({ rows, summary }: VerifyReport): string {
  const equal = `${summary?.objectsMatched ?? 0} objects are equal`;
  if (rows === undefined) return equal;
  const { lackingInSource: holes } = rows;
  const lost = rows.lacking.count - holes.count;
  const held = `, all ${rows.rows - holes.count - lost} blobs of the backup that the old storage has${lost === 0 ? '' : ' whole'} among them`;
  if (holes.count === 0) return equal + held;
  // Nobody could pull these before either: that they are not blamed on the copy, it is said.
  return `${equal}${held}; ${holes.count} more are named by the backup and missing in the old storage, too: ${holes.first.join(', ')}`;
}
