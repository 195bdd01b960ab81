/** Objects that change between their ranges, and those that cannot be right, on a real Ceph as source and as target. */
import { after, describe } from 'node:test';
import { describeWords, isBetweenRanges, SITUATIONS } from '../fault/words-situations.ts';
import { Servers, way } from '../fault/words-world.ts';
import { startCeph } from '../support/ceph.ts';
import { makeTempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';

const skip = missingTools('ceph');
if (skip) {
  describe('words on Ceph', { skip }, () => undefined);
} else {
  const folder = await makeTempFolder('words-ceph');
  const ceph = await startCeph({ directory: folder.path });
  const servers = new Servers(ceph);
  after(async () => {
    await servers.close();
    await ceph.stop();
    await folder.remove();
  });

  const chosen = SITUATIONS.filter((situation) => isBetweenRanges(situation) || !situation.script);
  describeWords(way('s3', 'fs'), servers, chosen);
  describeWords(way('s3', 'fs', 'sdk'), servers, SITUATIONS.filter(isBetweenRanges));
  describeWords(way('fs', 's3'), servers, SITUATIONS.filter(isBetweenRanges));
  describeWords(way('s3', 's3', 'sdk'), servers, SITUATIONS.filter(isBetweenRanges));
}
