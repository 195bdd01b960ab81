import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findBorder } from '../../../src/copy/find-border.ts';
import type { ListQuery, StorageDriver } from '../../../src/drivers/driver.ts';
import { rawLayout } from '../../../src/layout/raw.ts';
import { inWorld } from './copy-world.ts';

describe('The search for a border', { timeout: 60_000 }, () => {
  it('never asks for half a character, wherever names begin to differ', async () => {
    await inWorld({ layout: rawLayout, source: { pageObjectsMax: 2 } }, async (world) => {
      const paths = ['🚢', '🃏', '🚀'].flatMap((one) =>
        Array.from({ length: 20 }, (_, at) => world.put(`name ${one}${at}`, 'x')),
      );
      const asked: string[] = [];
      const { source } = world.ctx;
      const list: StorageDriver['list'] = (ctx, query: ListQuery) => {
        asked.push(query.after ?? '');
        return source.list(ctx, query);
      };
      const border = await findBorder(world.ctx, {
        driver: { ...source, list },
        keyPrefix: '',
        range: { prefix: '' },
        layout: rawLayout,
        behind: undefined,
      });
      assert.deepEqual(
        asked.filter((after) => !after.isWellFormed()),
        [],
      );
      assert.ok(border !== undefined && asked.length > 5, 'no border was searched for');
      const before = paths.filter((path) => Buffer.compare(Buffer.from(path), Buffer.from(border)) <= 0);
      assert.ok(before.length > 0 && before.length < paths.length, `${before.length} of ${paths.length}`);
    });
  });
});
