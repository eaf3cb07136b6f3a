/* Any bytes as a decoded Request of remote write 2.0. Twice, so that the second goes by refs. */
#include <stdlib.h>

#include "remote/remote_write.h"
#include "storage/mem_storage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Storage *storage = mem_storage_new();
    RemoteReceiver *receiver =
        remote_receiver_new(&(RemoteReceiverOptions){.storage = storage, .start_as_zero = true});
    RemoteWriteResult first, second;
    Buf request = BUF_INIT(0), body = BUF_INIT(0);
    buf_add(&request, data, size);
    if (remote_write_finish(&request, &body) == 0) {
        remote_receiver_write(receiver, REMOTE_WRITE_2, buf_str(&body), &first);
        remote_receiver_write(receiver, REMOTE_WRITE_2, buf_str(&body), &second);
        if (first.status != second.status || first.samples != second.samples) {
            abort();
        }
    }
    buf_deinit(&request);
    buf_deinit(&body);
    remote_receiver_free(receiver);
    mem_storage_free(storage);
    return 0;
}
