/*
 * A page of keys between one writer and many readers. The writer makes `version` odd, writes, and
 * makes it even again; a reader copies until it has seen the same even number before and after. So
 * nobody waits for a writer that died, but for half a rotation.
 *
 * The first key stands where former releases had their only one, in the same form.
 */
#include "net/tickets.h"

#include <assert.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define READS_MAX 1000

struct ticket_key {
	uint8_t name[16], mac[32], aes[32];
};

struct page {
	struct ticket_key keys[NET_TICKETS_GENERATIONS]; /* newest first; no name: none */
	_Atomic uint32_t version;
	uint32_t reserved;
	int64_t rotated_at;
};

struct net_tickets {
	const struct page *page;
	EVP_CIPHER *cipher; /* OpenSSL would look for it anew for each ticket */
};

/* ---- writing ---- */

static void new_key(struct page *p)
{
	struct ticket_key key;

	random_bytes(&key, sizeof(key));
	memmove(&p->keys[1], &p->keys[0], sizeof(p->keys) - sizeof(p->keys[0]));
	p->keys[0] = key;
	p->rotated_at = clock_now_at();
	secret_wipe(&key, sizeof(key));
}

static int map_page(int fd, int prot, struct page **ret, struct err *err)
{
	void *p = mmap(NULL, sizeof(struct page), prot, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return err_set_errno(err, errno, "mapping the ticket keys");
	assert(p != NULL);
	(void)madvise(p, sizeof(struct page), MADV_DONTDUMP);
	(void)mlock(p, sizeof(struct page));
	*ret = p;
	return 0;
}

int net_tickets_rotate(int fd, uint64_t interval_s, bool *ret_rotated, struct err *err)
{
	struct page *p = NULL;
	bool due;

	/* That of a former release was shorter. */
	if (ftruncate(fd, sizeof(struct page)) < 0)
		return err_set_errno(err, errno, "the ticket keys");
	if (map_page(fd, PROT_READ | PROT_WRITE, &p, err) < 0)
		return -1;
	due = interval_s == 0 || clock_now_at() - p->rotated_at >= (int64_t)interval_s ||
	      clock_now_at() < p->rotated_at;
	if (due) {
		atomic_fetch_or(&p->version, 1);
		new_key(p);
		atomic_fetch_add(&p->version, 1);
	}
	(void)munmap(p, sizeof(*p));
	*ret_rotated = due;
	return 0;
}

int net_tickets_create(int *ret_fd, struct err *err)
{
	int fd = memfd_create("ticket-keys", MFD_CLOEXEC);
	bool ignored = false;

	if (fd < 0)
		return err_set_errno(err, errno, "memfd_create");
	if (net_tickets_rotate(fd, 0, &ignored, err) < 0) {
		(void)close(fd);
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

/* ---- reading ---- */

int net_tickets_open(int fd, struct net_tickets **ret, struct err *err)
{
	struct page *p = NULL;
	struct net_tickets *t;

	if (lseek(fd, 0, SEEK_END) < (off_t)sizeof(struct page))
		return err_set(err, ERR_BAD_INPUT, "the ticket keys are too short");
	if (map_page(fd, PROT_READ, &p, err) < 0)
		return -1;
	t = x_new(struct net_tickets);
	t->page = p;
	t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (t->cipher == NULL) {
		net_tickets_close(&t);
		return err_set(err, ERR_INTERNAL, "OpenSSL has no AES-256-CBC");
	}
	*ret = t;
	return 0;
}

void net_tickets_close(struct net_tickets **t)
{
	if (*t == NULL)
		return;
	(void)munmap((void *)(uintptr_t)(*t)->page, sizeof(struct page));
	EVP_CIPHER_free((*t)->cipher);
	mem_free(*t);
	*t = NULL;
}

/* False: the writer died in the middle. */
static bool copy_keys(const struct net_tickets *t, struct ticket_key ret[NET_TICKETS_GENERATIONS])
{
	for (int i = 0; i < READS_MAX; i++) {
		uint32_t before = atomic_load(&t->page->version);

		memcpy(ret, t->page->keys, sizeof(t->page->keys));
		atomic_thread_fence(memory_order_acquire);
		if (before % 2 == 0 && atomic_load(&t->page->version) == before)
			return true;
	}
	return false;
}

/* Index of the key with this name; -1: none. */
static int find_key(const struct ticket_key keys[NET_TICKETS_GENERATIONS], const uint8_t name[16])
{
	static const uint8_t none[16];

	for (int i = 0; i < NET_TICKETS_GENERATIONS; i++) {
		if (memcmp(keys[i].name, name, 16) == 0 && memcmp(name, none, 16) != 0)
			return i;
	}
	return -1;
}

static bool set_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[3];
	uint8_t bytes[32];
	bool ok;

	memcpy(bytes, key->mac, sizeof(bytes));
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, bytes, sizeof(bytes));
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[2] = OSSL_PARAM_construct_end();
	ok = EVP_MAC_CTX_set_params(mac, params) == 1;
	secret_wipe(bytes, sizeof(bytes));
	return ok;
}

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb(3) wants it: 1 good, 2 good and to be renewed, 0 no
 * session, -1 no handshake. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int sealing)
{
	const struct net_tickets *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct ticket_key keys[NET_TICKETS_GENERATIONS];
	int at = 0, result = 0;

	if (!copy_keys(t, keys))
		return 0;
	if (sealing) {
		memcpy(name, keys[0].name, sizeof(keys[0].name));
		random_bytes(iv, 16);
	} else {
		at = find_key(keys, name);
	}
	if (at >= 0) {
		result = EVP_CipherInit_ex2(cipher, t->cipher, keys[at].aes, iv, sealing, NULL) ==
						 1 &&
					 set_mac(mac, &keys[at])
				 ? 1
				 : -1;
		if (result == 1 && at > 0)
			result = 2;
	}
	secret_wipe(keys, sizeof(keys));
	return result;
}

void net_tickets_use(struct ssl_ctx_st *ctx, struct net_tickets *t, uint64_t lifetime_s)
{
	SSL_CTX_set_app_data(ctx, t);
	SSL_CTX_set_timeout(ctx, (long)lifetime_s);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}
