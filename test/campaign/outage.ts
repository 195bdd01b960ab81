/** A backend vanishes for a minute in the middle of a copy: the copy waits, says so, and nothing is lost. */
import { startS3Server } from '../../bench/s3-server/s3-server.ts';
import { assertHolds, copyThroughOutage, fill, outageTree } from '../support/outage-world.ts';
import { makeTempFolder } from '../support/temp.ts';

const OUTAGE_MS = 60_000;

interface OutageOutcome {
  readonly side: 'source' | 'target';
  readonly engine: 'direct' | 'sdk';
  readonly exit: number | null;
  readonly seconds: number;
  readonly objects: number;
  readonly objectsBefore: number;
  readonly saysSo: boolean;
  readonly isEqual: boolean;
}

export async function outageCampaign(seed: string) {
  const tree = outageTree(seed, 300);
  const runs: OutageOutcome[] = [];
  for (const side of ['source', 'target'] as const) {
    for (const engine of ['direct', 'sdk'] as const) {
      const server = await startS3Server({ buckets: ['source', 'target'] });
      const journal = await makeTempFolder('journal');
      try {
        await fill(server, 'source', tree);
        const { result, objectsBefore } = await copyThroughOutage({
          server,
          tree,
          side,
          target: 'target',
          journal: journal.path,
          outageMs: OUTAGE_MS,
          fromObjects: 50,
          more: ['--engine', engine],
        });
        const isEqual = await assertHolds(server, 'target', tree).then(
          () => true,
          () => false,
        );
        const saysSo = / does not answer /.test(result.stderr) && / is back after /.test(result.stderr);
        const { code: exit, seconds } = result;
        const objects = tree.objects.size;
        runs.push({ side, engine, exit, seconds, objects, objectsBefore, saysSo, isEqual });
      } finally {
        await journal.remove();
        await server.close();
      }
    }
  }
  const isGood = runs.every(({ exit, saysSo, isEqual }) => exit === 0 && saysSo && isEqual);
  return { isGood, result: { outageSeconds: OUTAGE_MS / 1000, runs } };
}
