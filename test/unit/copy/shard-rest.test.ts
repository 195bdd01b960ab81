import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ShardRest } from '../../../src/copy/shard-rest.ts';
import type { ListPage } from '../../../src/drivers/driver.ts';
import { rawLayout } from '../../../src/layout/raw.ts';
import { inWorld } from './copy-world.ts';

async function* pages(): AsyncGenerator<ListPage> {
  yield { objects: [{ key: 'a/1', sizeBytes: 1 }], prefixes: [] };
  yield { objects: [{ key: 'd/1', sizeBytes: 1 }], prefixes: [] };
}

describe('The rest of a shard', { timeout: 60_000 }, () => {
  const borders = ['b/', 'c/'];

  for (const { told, border } of [
    { told: undefined, border: 'c/' },
    { told: 'b/', border: 'c/' },
    // What lies in a folder that cannot be listed would be the next shard's, and told of by both.
    { told: 'c/', border: undefined },
  ]) {
    it(`is cut at ${border} after something was told of ${told}`, async () => {
      await inWorld({ layout: rawLayout }, async ({ ctx }) => {
        const rest = new ShardRest(
          { id: 'names-1', phase: 'names', range: { prefix: '' }, borders },
          { keepsPages: false },
        );
        const listing = rest.ofSource(pages(), '');
        await listing.next();
        if (told !== undefined) rest.tell(told);
        const search = { driver: ctx.source, layout: ctx.layout, keyPrefix: '' };
        assert.equal(await rest.cut(ctx, search), border);
        assert.equal(rest.border, border);
        await listing.return(undefined);
      });
    });
  }
});
