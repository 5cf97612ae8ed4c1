#ifndef BELLHOP_EAS_CLASS_EMAIL_H
#define BELLHOP_EAS_CLASS_EMAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "mime/mime.h"
#include "mime/mime_draft.h"
#include "store/store.h"
#include "sync/state.h"
#include "wbxml/wbxml.h"

/*
 * The Email class, server to client ([MS-ASEMAIL] 2.2.2; bodies and attachments [MS-ASAIRS] 2.2.2).
 * Each function writes children into the element that is open (ApplicationData or Properties).
 */
struct email_view {
	unsigned version; /* times ten */
	const struct sync_options *options;
	bool is_change; /* the phone holds an older one: what is empty now must say so */
	bool no_body;   /* only its preview, when that is asked for (ConversationMode) */
	/* The user's own, without which nobody can say who was copied blindly; NULL: unknown. */
	const char *const *addresses;
	size_t address_count;
	/* Multipart answers ([MS-ASCMD] 2.2.1.10.1): when set, body data goes here and the document
	 * gets Part. */
	void (*add_part)(void *owner, const void *bytes, size_t len, unsigned *ret_number);
	void *part_owner;
};

/* One message with what rendering it needs; memory of the arena but for the body. */
struct email {
	struct owner_id owner;
	struct folder_id folder;
	enum folder_type folder_type;
	struct item *item;
	struct mime_summary *summary;
	struct store_body body;
	bool has_body;
	bool set_aside;                           /* everything but item is that of a placeholder */
	const struct mime_draft_numbers *numbers; /* a draft's, of its attachments; NULL: none */
};

/* ERR_NOT_FOUND: gone. ERR_BAD_INPUT: its summary cannot be read. Loads the raw message only when
 * with_body. An item that was set aside gives its placeholder. From here to email_release() a crash
 * is counted against the item (base/notes.h): one at a time on a thread. */
NODISCARD int email_load(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	enum folder_type folder_type, struct item_id id, bool with_body, struct arena *arena,
	struct email *ret, struct err *err);
void email_release(struct email *email);

/* A message of our own that is stored nowhere, as email_load() would give it. */
struct email_notice {
	const char *subject, *text; /* UTF-8 */
	const char *domain, *to;
	int64_t at;
};
NODISCARD int email_notice_make(const struct email_notice *notice, struct owner_id owner,
	const struct folder *folder, struct item_id id, struct arena *arena, struct email *ret,
	struct err *err);

/* Every property, of a text message, too. */
NODISCARD int email_encode(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, struct err *err);
/* Only the property groups that moved (enum sync_group without SYNC_CONTENT). */
void email_encode_groups(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, unsigned groups);

/* FileReference: "<folder>:<item>:<number>", no slash, because phones put it into places where
 * one breaks it. The number is that of the part; a draft's attachments have lasting ones (mime_draft.h). */
void email_file_reference(const struct email *email, uint32_t part, char *text, size_t text_size);
NODISCARD int email_file_reference_parse(const char *text, struct folder_id *ret_folder,
	struct item_id *ret_item, uint32_t *ret_number, struct err *err);
/* The part that a number means; the message was loaded with its body. ERR_NOT_FOUND. */
NODISCARD int email_find_part(
	const struct email *email, uint32_t number, uint32_t *ret_part, struct err *err);

/*
 * The Flag of a message as a client sent it: its status and its other properties as a blob for the
 * store, and back. The node was validated by the schema.
 */
void email_flag_parse(const struct wbxml_node *flag, uint8_t *ret_status, struct buf *ret_blob);
void email_flag_encode(struct wbxml_writer *w, uint8_t status, const uint8_t *blob, size_t len);
void email_categories_parse(const struct wbxml_node *categories, struct buf *ret_blob);
void email_categories_encode(struct wbxml_writer *w, const uint8_t *blob, size_t len);

#endif
