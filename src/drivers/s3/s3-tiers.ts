/** Storage classes as listings name them (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html). */
import type { ObjectInfo } from '../driver.ts';

export const USUAL_TIER = 'STANDARD';
/** Asked for a listing, in which AWS then says of archived objects whether they are restored. */
export const RESTORE_STATUS = ['x-amz-optional-object-attributes', 'RestoreStatus'] as const;

type TierFields = Pick<ObjectInfo, 'tier' | 'archived'>;

const USUAL: TierFields = {};
/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html; GLACIER_IR is read at once. */
const OF_ARCHIVES: Readonly<Record<string, TierFields>> = {
  GLACIER: { tier: 'GLACIER', archived: 'yes' },
  // Its objects may be in archive tiers of their own, which only a HEAD tells.
  INTELLIGENT_TIERING: { tier: 'INTELLIGENT_TIERING', archived: 'maybe' },
  DEEP_ARCHIVE: { tier: 'DEEP_ARCHIVE', archived: 'yes' },
};

export function tierFields(tier: string): TierFields {
  if (tier === USUAL_TIER || tier === '') return USUAL;
  return OF_ARCHIVES[tier] ?? { tier };
}
