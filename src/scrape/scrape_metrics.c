#include "scrape/scrape_metrics.h"

const ScrapeMetrics *scrape_metrics(void) {
    static ScrapeMetrics m;
    if (!m.duplicate) {
#define X(member, name, help) m.member = metric_counter(name, help, NULL);
        SCRAPE_COUNTERS(X)
#undef X
    }
    return &m;
}

Metric *scrape_interval_metric(Str interval) {
    static const double quantiles[] = {0.01, 0.05, 0.5, 0.9, 0.99};
    Buf labels = BUF_INIT(0);
    buf_addf(&labels, "interval=\"%.*s\"", SA(interval));
    Metric *m = metric_summary("prometheus_target_interval_length_seconds",
                               "Actual intervals between scrapes.", buf_cstr(&labels), quantiles,
                               sizeof(quantiles) / sizeof(quantiles[0]));
    buf_deinit(&labels);
    return m;
}
