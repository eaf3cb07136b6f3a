/* How far the merge under way has come, for metrics and pages. */
#include "base/metrics.h"
#include "tsdb/db/db.h"

void db_progress_begin(Tsdb *db, CompactJob *job) {
    uint64_t samples = 0;
    for (size_t i = 0; i < job->n; i++) {
        samples += block_meta(job->v[i].block)->samples;
    }
    job->progress = &db->merged_samples;
    atomic_store(&db->merged_samples, 0);
    atomic_store(&db->merge_blocks, (unsigned)job->n);
    atomic_store(&db->merge_samples, samples);
}

void db_progress_end(Tsdb *db) { atomic_store(&db->merge_blocks, 0); }

double db_progress(Tsdb *db, unsigned *ret_blocks) {
    *ret_blocks = atomic_load(&db->merge_blocks);
    uint64_t all = atomic_load(&db->merge_samples), done = atomic_load(&db->merged_samples);
    return *ret_blocks == 0 || all == 0 ? 0 : MIN(1.0, (double)done / (double)all);
}
