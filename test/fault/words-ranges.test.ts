/** Objects that change between their ranges, to further targets: never bytes of two versions, and the same words. */
import { after } from 'node:test';
import { describeWords, isBetweenRanges, SITUATIONS } from './words-situations.ts';
import { MORE_WAYS, Servers } from './words-world.ts';

const servers = new Servers();
after(() => servers.close());

for (const way of MORE_WAYS) describeWords(way, servers, SITUATIONS.filter(isBetweenRanges));
