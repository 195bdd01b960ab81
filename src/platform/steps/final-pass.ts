/** The pass over the read-only source, and the proof that the target has all of it. */
import { BlobferryError } from '../../core/errors.ts';
import type { PassReport, VerifyReport } from '../engine-port.ts';
import type { Effect, Step } from '../saga/step.ts';
import { type EngineSite, inEpoch, withDigests } from './engine-steps.ts';
import { demandGood, keptLacking, LIVE } from './live-passes.ts';

export function finalPass(site: EngineSite, deleteMax: number): Step {
  return {
    id: 'final-pass',
    title: 'Copy the rest, and remove links and tags that the source no longer has',
    changes: 'Writes to the target and removes from it, never blobs',
    kind: 'read',
    restsOn: [site.window],
    check: async ({ memory }) => ({ is: memory.get('pass') === undefined ? 'todo' : 'done' }),
    do: async (ctx) => {
      const digests = withDigests(site, ctx);
      const report = await inEpoch(site, ctx, (call, epoch) =>
        site.engine.runPass(call, { kind: 'frozen', epoch, deleteMax, ...digests }),
      );
      demandGood(report, 'The final pass');
      ctx.memory.keep('pass', passText(report));
    },
    effect: async ({ memory }) => shownBy(memory.get('pass'), 'no final pass came to a good end'),
  };
}

export function verifyStep(site: EngineSite): Step {
  return {
    id: 'verify',
    title: 'Compare all of the target with the source, and read back what was written',
    changes: '',
    kind: 'read',
    restsOn: [site.window],
    check: async ({ memory }) => ({ is: memory.get('verified') === undefined ? 'todo' : 'done' }),
    do: async (ctx) => {
      const digests = withDigests(site, ctx);
      const all = await inEpoch(site, ctx, (call, epoch) =>
        site.engine.verifyAll(call, { epoch, ...digests }),
      );
      demandGood(all, 'The target is not shown to be the source');
      demandNoNewHoles(all, keptLacking(ctx.memoryOf(LIVE)));
      const written = await inEpoch(site, ctx, (call, epoch) =>
        site.engine.verifyWritten(call, { epoch, ...digests }),
      );
      demandGood(written, 'What was written is not shown to be right');
      ctx.memory.keep(
        'verified',
        `${verifiedText(all)}; ${written.objectsChecked} written objects read back`,
      );
    },
    effect: async ({ memory }) => shownBy(memory.get('verified'), 'the target is not verified'),
  };
}

/**
 * A blob that nobody could pull before is none of the copy's. But nothing collects garbage meanwhile: one that came to be
 * missing while we copied is in a source that is not seen whole, such as a folder that is not mounted any more.
 * @param before so many were missing while the registry lived; undefined: nobody has looked.
 * @throws BlobferryError
 */
function demandNoNewHoles({ rows }: VerifyReport, before: number | undefined): void {
  const holes = rows?.lackingInSource;
  if (holes === undefined || before === undefined || holes.count <= before) return;
  throw new BlobferryError(
    `The source lacks ${holes.count} blobs that the metadata names, and lacked ${before} in the last live pass: ${holes.first.join(', ')}`,
    { hint: 'See that the old storage is there as a whole (a folder that is mounted), and run again' },
  );
}

function shownBy(kept: unknown, why: string): Effect {
  return typeof kept === 'string' ? { is: 'shown', evidence: kept } : { is: 'missing', why };
}

function passText({ objectsListed, objectsChanged, bytesChanged, objectsDeleted }: PassReport): string {
  return `${objectsListed} objects, ${objectsChanged} changed (${bytesChanged} bytes), ${objectsDeleted} removed from the target`;
}

function verifiedText({ rows, summary }: VerifyReport): string {
  const equal = `${summary?.objectsMatched ?? 0} objects are equal`;
  if (rows === undefined) return equal;
  const { lackingInSource: holes } = rows;
  const held = `, all ${rows.rows - holes.count} blobs of the backup that the old storage has among them`;
  if (holes.count === 0) return equal + held;
  // Nobody could pull these before either: that they are not blamed on the copy, it is said.
  return `${equal}${held}; ${holes.count} more are named by the backup and missing in the old storage, too: ${holes.first.join(', ')}`;
}
