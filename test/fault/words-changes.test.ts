/** Every driver says the same word for what is wrong in a source, or becomes wrong while it is read. */
import { after } from 'node:test';
import { describeWords, SITUATIONS } from './words-situations.ts';
import { Servers, WAYS } from './words-world.ts';

const servers = new Servers();
after(() => servers.close());

for (const way of WAYS) describeWords(way, servers, SITUATIONS);
