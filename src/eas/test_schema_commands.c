/* All other commands against the schema, and the limits. */
#include "eas/test_schema_util.h"

#define KEYS "SyncKey=1 CollectionId=5 "

#define ESTIMATE(children) "GetItemEstimate{Collections{Collection{" children "}}}"

static void test_estimate(void)
{
	static const struct row rows[] = {
		{141, ESTIMATE("AirSync:SyncKey=1 CollectionId=5"), 0, NULL, 0},
		{141,
			ESTIMATE("AirSync:SyncKey=1 CollectionId=5 AirSync:ConversationMode=0 "
				 "AirSync:Options{FilterType=2 Class=Email MaxItems=1}"),
			0, NULL, 0},
		{141, ESTIMATE("CollectionId=5 AirSync:SyncKey=1"), 103, "order", 0},
		{141, ESTIMATE("AirSync:SyncKey=1 CollectionId=5 AirSync:Options"), 103, "empty",
			0},
		{141, ESTIMATE("AirSync:SyncKey=1 CollectionId=5 AirSync:Options{FilterType=9}"),
			103, "range", 0},
		{141, ESTIMATE("Class=Email CollectionId=5 AirSync:SyncKey=1"), 103, "version", 0},
		{121, ESTIMATE("Class=Email CollectionId=5 AirSync:FilterType=2 AirSync:SyncKey=1"),
			0, NULL, 0},
		{25, ESTIMATE("AirSync:SyncKey=1 AirSync:FilterType=2 CollectionId=5 Class=Email"),
			0, NULL, 0},
		{121, ESTIMATE("CollectionId=5 AirSync:SyncKey=1"), 103, "FilterType is missing",
			0},
		{141, ESTIMATE("AirSync:SyncKey=1"), 103, "CollectionId is missing", 0},
		{141, "GetItemEstimate", 103, "Collections is missing", 0},
		{141, "GetItemEstimate{Collections}", 103, "Collection is missing", 0},
	};

	CHECK_ROWS(GetItemEstimate, rows);
}

static void test_ping(void)
{
	static const struct row rows[] = {
		{25, "Ping{HeartbeatInterval=480 Folders{Folder{Id=5 Class=Email}}}", 0, NULL, 0},
		{141, "Ping{Folders{Folder{Class=Notes Id=5} Folder{Id=6 Class=Tasks}}}", 0, NULL,
			0},
		{141, "Ping{HeartbeatInterval=1}", 0, NULL, 0},
		{141, "Ping{HeartbeatInterval=-1}", 0, NULL, 0},
		{141, "Ping{HeartbeatInterval=ten}", 4, "Ping/HeartbeatInterval: ten is not", 0},
		{141, "Ping", 4, "Ping: is empty", 0},
		{141, "Ping{Folders}", 4, "Folder is missing", 0},
		{141, "Ping{Folders{Folder{Id=5}}}", 4, "Class is missing", 0},
		{141, "Ping{Folders{Folder{Class=Email}}}", 4, "Id is missing", 0},
		{121, "Ping{Folders{Folder{Id=5 Class=Notes}}}", 4, "Notes is no class", 0},
		{141, "Ping{Folders{Folder{Id=5 Class=SMS}}}", 4, "SMS is no class", 0},
		{141, "Ping{Folders{Folder{Id=5 Class=Email} Folder{Id=5 Class=Email}}}", 4,
			"Folder[2]: comes twice", 0},
		{141, "Ping{Status=1 HeartbeatInterval=480}", 4, "cannot stand", 0},
	};

	CHECK_ROWS(Ping, rows);
}

#define POLICY(c) "Policies{Policy{" c "}}"
#define DEVICE    "Settings:DeviceInformation{Set{Model=x OS}} "

static void test_provision(void)
{
	static const struct row rows[] = {
		{141, "Provision", 0, NULL, 0},
		{25, "Provision{" POLICY("PolicyType=MS-WAP-Provisioning-XML") "}", 0, NULL, 0},
		{140, "Provision{" POLICY("PolicyType=MS-EAS-Provisioning-WBXML") "}", 0, NULL, 0},
		{141, "Provision{" POLICY("PolicyType=x") "}", 165, "DeviceInformation is missing",
			0},
		{141, "Provision{" DEVICE POLICY("PolicyType=x") "}", 0, NULL, 0},
		{140, "Provision{" DEVICE POLICY("PolicyType=x") "}", 2, "version", 0},
		{141, "Provision{Settings:DeviceInformation{Set{OS=x}} " POLICY("PolicyType=x") "}",
			2, "Model is missing", 0},
		{141, "Provision{Settings:DeviceInformation}", 2, "Set is missing", 0},
		{141, "Provision{" POLICY("PolicyType=x PolicyKey=1 Status=1") "}", 0, NULL, 0},
		{141, "Provision{" POLICY("PolicyKey=1 Status=1 PolicyType=x") "}", 0, NULL, 0},
		{141, "Provision{" POLICY("PolicyType=x Status=1 PolicyKey=1") "}", 2,
			"stands before PolicyKey", 0},
		{141, "Provision{" POLICY("PolicyType=x Status=1") "}", 2, "PolicyKey is missing",
			0},
		{25, "Provision{" POLICY("PolicyType=x PolicyKey=1") "}", 2, "Status is missing",
			0},
		{141, "Provision{" POLICY("PolicyType=x PolicyKey=1") "}", 2, "Status is missing",
			0},
		{141, "Provision{" POLICY("PolicyType=x PolicyKey=1 Status=5") "}", 2, "range", 0},
		{141, "Provision{" DEVICE POLICY("") "}", 2, "PolicyType is missing", 0},
		{141, "Provision{" DEVICE "Policies}", 2, "Policy is missing", 0},
		{141, "Provision{" DEVICE POLICY("PolicyType=x Data=x") "}", 2, "cannot stand", 0},
		{25, "Provision{RemoteWipe{Status=1}}", 0, NULL, 0},
		{141, "Provision{Status=1 RemoteWipe{Status=2}}", 0, NULL, 0},
		{141, "Provision{Status=1}", 2, "without a wipe", 0},
		{141, "Provision{RemoteWipe}", 2, "Status is missing", 0},
		{141, "Provision{RemoteWipe{Status=3}}", 2, "range", 0},
		{161, "Provision{AccountOnlyRemoteWipe{Status=1}}", 0, NULL, 0},
		{160, "Provision{AccountOnlyRemoteWipe{Status=1}}", 2, "version", 0},
	};

	CHECK_ROWS(Provision, rows);
}

static void test_folders(void)
{
	static const struct row sync[] = {
		{25, "FolderSync{SyncKey=0}", 0, NULL, 0},
		{25, "FolderSync", 10, "SyncKey is missing", 0},
		{25, "FolderSync{SyncKey}", 10, "short", 0},
		{25, "FolderSync{SyncKey=1 SyncKey=1}", 10, "often", 0},
		{25, "FolderSync{SyncKey=1 Status=1}", 10, "cannot stand", 0},
	};
	static const struct row create[] = {
		{25, "FolderCreate{SyncKey=1 ParentId=0 DisplayName=x Type=12}", 0, NULL, 0},
		{25, "FolderCreate{SyncKey=1 ParentId=0 DisplayName=x Type=2}", 10, "allowed", 0},
		{25, "FolderCreate{SyncKey=1 ParentId=0 DisplayName Type=1}", 10, "short", 0},
		{25, "FolderCreate{SyncKey=1 ParentId=0 Type=1}", 10, "missing", 0},
	};
	static const struct row update[] = {
		{25, "FolderUpdate{SyncKey=1 ServerId=4 ParentId=0 DisplayName=x}", 0, NULL, 0},
		{25, "FolderUpdate{ServerId=4 ParentId=0 DisplayName=x}", 10, "SyncKey", 0},
	};
	static const struct row gone[] = {
		{25, "FolderDelete{SyncKey=1 ServerId=4}", 0, NULL, 0},
		{25, "FolderDelete{SyncKey=1}", 10, "ServerId", 0},
	};
	static const struct row moves[] = {
		{25, "MoveItems{Move{SrcMsgId=1 SrcFldId=2 DstFldId=3}}", 0, NULL, 0},
		{25, "MoveItems", 103, "Move is missing", 0},
		{25, "MoveItems{Move{SrcMsgId=1 SrcFldId=2}}", 103, "DstFldId is missing", 0},
		{25, "MoveItems{Move{SrcMsgId=1 SrcFldId=2 DstFldId=3 DstFldId=4}}", 0,
			"two targets", 1},
	};

	CHECK_ROWS(FolderSync, sync);
	CHECK_ROWS(FolderCreate, create);
	CHECK_ROWS(FolderUpdate, update);
	CHECK_ROWS(FolderDelete, gone);
	CHECK_ROWS(MoveItems, moves);
}

#define FETCH(c) "ItemOperations{Fetch{" c "}}"
#define MAILBOX  "Store=Mailbox "
#define ITEM     MAILBOX "AirSync:CollectionId=5 AirSync:ServerId=5:1 "

static void test_item_operations(void)
{
	static const struct row rows[] = {
		{120, FETCH(ITEM), 0, NULL, 0},
		{141,
			FETCH(ITEM
				"Options{AirSync:MIMESupport=2 AirSyncBase:BodyPreference{Type=4} "
				"Schema{Email:Subject AirSyncBase:Body}}"),
			0, NULL, 0},
		{141, FETCH(MAILBOX "AirSyncBase:FileReference=x Options{Range=0-99}"), 0, NULL, 0},
		{141, FETCH(MAILBOX "AirSyncBase:FileReference"), 0, NULL, 0},
		{141, FETCH(MAILBOX "Search:LongId=x"), 0, NULL, 0},
		{141,
			FETCH("Store=DocumentLibrary DocumentLibrary:LinkId=x "
			      "Options{Range=0-9 UserName=u Password=p}"),
			0, NULL, 0},
		{25, FETCH(ITEM), 2, "version", 0},
		{141, "ItemOperations", 2, "is empty", 0},
		{141, "ItemOperations{Status=1}", 2, "cannot stand", 0},
		{141, FETCH(""), 0, "Store is missing", 1},
		{141, FETCH("Store=Attic AirSyncBase:FileReference=x"), 0, "unknown Store", 1},
		{141, FETCH(MAILBOX), 0, "does not name one item", 1},
		{141, FETCH(MAILBOX "AirSync:CollectionId=5"), 0, "has one of", 1},
		{141, FETCH(ITEM "AirSyncBase:FileReference=x"), 0, "not name one", 1},
		{141, FETCH(MAILBOX "DocumentLibrary:LinkId=x"), 0, "other Store", 1},
		{141,
			FETCH(MAILBOX "AirSyncBase:FileReference=x "
				      "AirSyncBase:FileReference=y"),
			0, "too often", 1},
		{141, FETCH(MAILBOX "AirSyncBase:FileReference=x Options{AirSync:MIMESupport=1}"),
			0, "does not fit", 1},
		{141, FETCH(MAILBOX "AirSyncBase:FileReference=x Options{Range=9-1}"), 0,
			"9-1 is no range", 1},
		{141, FETCH(MAILBOX "AirSyncBase:FileReference=x Options{Range=9}"), 0, "m-n", 1},
		{141, FETCH(ITEM "Options{Range=0-9}"), 0, "does not fit", 1},
		{141, FETCH(ITEM "Options{AirSyncBase:BodyPartPreference{Type=1}}"), 0, "range", 1},
		{141, FETCH(ITEM "Options{AirSyncBase:BodyPreference{AllOrNone=1 Type=1}}"), 0,
			"order", 1},
		{120, FETCH(ITEM "Options{UserName=x}"), 0, "version", 1},
		{120,
			"ItemOperations{EmptyFolderContents{AirSync:CollectionId=4 "
			"Options{DeleteSubFolders}}}",
			0, NULL, 0},
		{120, "ItemOperations{EmptyFolderContents}", 0, "CollectionId is missing", 1},
		{140, "ItemOperations{Move{ConversationId=#01 DstFldId=4 Options{MoveAlways}}}", 0,
			NULL, 0},
		{140, "ItemOperations{Move{ConversationId=#01 DstFldId=4}}", 0, "MoveAlways", 1},
		{121, "ItemOperations{Move{ConversationId=#01 DstFldId=4 Options{MoveAlways}}}", 2,
			"version", 0},
	};
	static const unsigned faults[] = {0, 9, 8, 164, 155, 2};
	struct checked r;
	const struct wbxml_node *op;
	size_t i = 0;

	CHECK_ROWS(ItemOperations, rows);
	check_text(&r, EAS_CMD_ItemOperations, 141,
		"ItemOperations{Fetch{" ITEM "} Fetch{Store=x AirSyncBase:FileReference=y} "
		"Fetch{" MAILBOX "AirSyncBase:FileReference=x Options{Range=x}} "
		"Fetch{" ITEM "Options{AirSyncBase:BodyPartPreference{Type=1}}} "
		"Move{ConversationId=x DstFldId=1} EmptyFolderContents{Options}}");
	CHECK_INT(r.rc, 0);
	CHECK_INT(r.fault.item_faults, 5);
	CHECK_STR(r.fault.text, "ItemOperations/Fetch[2]: names an unknown Store");
	for (op = r.root->child; op != NULL; op = op->next)
		CHECK_INT(op->fault, i < 6 ? faults[i++] : 0);
	CHECK_INT(i, 6);
	arena_free(&r.arena);
}

static void test_mail(void)
{
	static const struct row send[] = {
		{140, "SendMail{ClientId=c SaveInSentItems Mime=#41}", 0, NULL, 0},
		{140, "SendMail{Mime=text ClientId=c}", 0, NULL, 0},
		{121, "SendMail{ClientId=c Mime=#41}", 103, "version", 0},
		{140, "SendMail{Mime=#41}", 103, "ClientId is missing", 0},
		{140, "SendMail{ClientId=c}", 103, "Mime is missing", 0},
		{140, "SendMail{ClientId=c Mime}", 103, "is empty", 0},
		{140, "SendMail{ClientId=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa Mime=#41}", 103,
			"long", 0},
		{140, "SendMail{ClientId=c AccountId=a Mime=#41}", 103, "version", 0},
		{141, "SendMail{ClientId=c SaveInSentItems=2 Mime=#41}", 103, "not empty", 0},
	};
	static const struct row forward[] = {
		{140, "SmartForward{ClientId=c Source{FolderId=1 ItemId=2} Mime=#41}", 0, NULL, 0},
		{140, "SmartForward{ClientId=c Source{LongId=1 ItemId=2} Mime=#41}", 105, "LongId",
			0},
		{140, "SmartForward{ClientId=c Source{ItemId=2 InstanceId=x} Mime=#41}", 104,
			"x is not a date", 0},
		{140, "SmartForward{ClientId=c Source{ItemId=2}}", 103, "Mime is missing", 0},
		{160, "SmartForward{ClientId=c Source{ItemId=2} Forwardees{Forwardee{Email=a}}}", 0,
			NULL, 0},
		{160, "SmartForward{ClientId=c Source{ItemId=2} Forwardees{Forwardee{Name=a}}}",
			179, "Email is missing", 0},
		{160,
			"SmartForward{ClientId=c Source{ItemId=2} Forwardees{Forwardee{Email=a}} "
			"Mime=#41}",
			178, "excludes", 0},
		{160, "SmartForward{ClientId=c Source{ItemId=2} AirSyncBase:Body{Type=9}}", 179,
			"range", 0},
	};
	static const struct row reply[] = {
		{140, "SmartReply{ClientId=c Source{LongId=2} ReplaceMime Mime=#41}", 0, NULL, 0},
		{140, "SmartReply{ClientId=c Source Mime=#41}", 103, "names no item", 0},
		{140, "SmartReply{ClientId=c Mime=#41}", 103, "Source is missing", 0},
	};

	CHECK_ROWS(SendMail, send);
	CHECK_ROWS(SmartForward, forward);
	CHECK_ROWS(SmartReply, reply);
}

#define MEETING(c) "MeetingResponse{Request{UserResponse=1 " c "}}"

static void test_meeting_response(void)
{
	static const struct row rows[] = {
		{25, MEETING("CollectionId=1 RequestId=1:1"), 0, NULL, 0},
		{120, MEETING("Search:LongId=1"), 0, NULL, 0},
		{120, MEETING(""), 0, "names no item", 1},
		{120, MEETING("Search:LongId=1 RequestId=1"), 0, "both", 1},
		{141, MEETING("RequestId=1 InstanceId=2010-03-01T12:00:00.000Z"), 0, NULL, 0},
		{141, MEETING("RequestId=1 InstanceId=20100301T120000Z"), 0, "not a date", 1},
		{140, MEETING("RequestId=1 InstanceId=2010-03-01T12:00:00.000Z"), 0, "version", 1},
		{25, "MeetingResponse{Request{UserResponse=4 RequestId=1}}", 103, "range", 0},
		{25, "MeetingResponse{Request{RequestId=1}}", 103, "UserResponse", 0},
		{25, "MeetingResponse", 103, "Request is missing", 0},
		{160, MEETING("RequestId=1 SendResponse{AirSyncBase:Body{Type=1 Data=x}}"), 0, NULL,
			0},
		{161, MEETING("RequestId=1 SendResponse{ProposedStartTime=20100301T120000Z}"), 0,
			"has one of", 1},
	};

	CHECK_ROWS(MeetingResponse, rows);
}

#define SEARCH(name, rest) "Search{Store{Name=" name " " rest "}}"

static void test_search_and_find(void)
{
	static const struct row search[] = {
		{25, SEARCH("GAL", "Query=anna Options{Range=0-9}"), 0, NULL, 0},
		{25, SEARCH("Mailbox", "Query{And{FreeText=x}}"), 3, "version", 0},
		{120,
			SEARCH("Mailbox", "Query{And{AirSync:Class=Email AirSync:CollectionId=5 "
					  "AirSync:CollectionId FreeText=x "
					  "GreaterThan{Email:DateReceived "
					  "Value=2010-03-01T12:00:00.000Z}}}"),
			0, NULL, 0},
		{120, SEARCH("Mailbox", "Query{And{Email:Subject=x}}"), 2, "cannot stand", 0},
		{120, SEARCH("Mailbox", "Query{AirSync:Class=Email}"), 8, "cannot stand", 0},
		{120, SEARCH("Mailbox", "Query{Or{FreeText=x}}"), 8, "not supported", 0},
		{120, SEARCH("Mailbox", "Query=x"), 2, "And is missing", 0},
		{120, SEARCH("Attic", "Query=x"), 2, "unknown store", 0},
		{120, SEARCH("GAL", "Query=x Options{Range=5-1000}"), 2, "no range", 0},
		{120, SEARCH("GAL", "Query=x Options{AirSyncBase:BodyPreference}"), 2, "Type", 0},
		{120, SEARCH("GAL", ""), 3, "Query is missing", 0},
		{141, SEARCH("DocumentLibrary", "Query{EqualTo{DocumentLibrary:LinkId Value=x}}"),
			0, NULL, 0},
		{140, SEARCH("Mailbox", "Query{And{ConversationId=#01 ConversationId=#02}}"), 2,
			"too often", 0},
		{120,
			SEARCH("Mailbox", "Query{And{LessThan{Value=2010-03-01T12:00:00.000Z "
					  "Email:DateReceived}}}"),
			3, "order", 0},
	};
	static const struct row find[] = {
		{161,
			"Find{SearchId=s ExecuteSearch{MailBoxSearchCriterion{Query{FreeText=x "
			"AirSync:Class=Email AirSync:CollectionId=1} Options{Range=0-99 "
			"DeepTraversal}}}}",
			0, NULL, 0},
		{161,
			"Find{SearchId=s ExecuteSearch{GalSearchCriterion{Query=x "
			"Options{Picture{MaxSize=1}}}}}",
			0, NULL, 0},
		{160, "Find{SearchId=s ExecuteSearch{GalSearchCriterion{Query=x}}}", 103, "version",
			0},
		{161, "Find{SearchId=s ExecuteSearch}", 103, "criterion", 0},
		{161,
			"Find{SearchId=s ExecuteSearch{GalSearchCriterion{Query=x "
			"Options{Range=5-1}}}}",
			2, "range", 0},
	};
	struct checked r;

	CHECK_ROWS(Search, search);
	CHECK_ROWS(Find, find);
	check_text(&r, EAS_CMD_Search, 120, SEARCH("Attic", "Query=x"));
	CHECK_INT(r.fault.place, EAS_PLACE_STORE);
	arena_free(&r.arena);
	check_text(&r, EAS_CMD_Search, 120, "Search");
	CHECK_INT(r.fault.place, EAS_PLACE_ROOT);
	arena_free(&r.arena);
}

static void test_settings(void)
{
	static const struct row rows[] = {
		{120, "Settings{Oof{Get{BodyType=text}} UserInformation{Get}}", 0, NULL, 0},
		{120,
			"Settings{Oof{Set{OofState=1 OofMessage{AppliesToInternal Enabled=1 "
			"ReplyMessage=x BodyType=HTML}}}}",
			0, NULL, 0},
		{120, "Settings{Oof}", 2, "neither", 0},
		{120, "Settings{Oof{Set{StartTime=2010-03-01T12:00:00.000Z}}}", 0, "has one of", 1},
		{120, "Settings{Oof{Set{OofMessage{Enabled=1}}}}", 2, "audience", 0},
		{120, "Settings{Oof{Get{BodyType=RTF}}}", 2, "RTF is neither", 0},
		{120, "Settings{DeviceInformation{Set{Model=x}}}", 0, NULL, 0},
		{120, "Settings{DeviceInformation{Set}}", 2, "empty", 0},
		{120, "Settings{DeviceInformation{Set{UserAgent=x}}}", 2, "version", 0},
		{25, "Settings{UserInformation{Get}}", 2, "version", 0},
		{120, "Settings{UserInformation{Get} UserInformation{Get}}", 2, "often", 0},
		{120, "Settings{DevicePassword{Set{Password=secret}}}", 0, NULL, 0},
		{120, "Settings{DevicePassword{Set}}", 2, "Password is missing", 0},
	};
	struct schema_limits limits = schema_limits_default();
	struct buf bytes = BUF_INIT;
	struct wbxml_writer w;
	struct checked r;
	char password[300];

	CHECK_ROWS(Settings, rows);
	memset(password, 'x', sizeof(password));
	wbxml_writer_init(&w, &bytes);
	wbxml_start(&w, TAG_Settings_Settings);
	wbxml_start(&w, TAG_Settings_DevicePassword);
	wbxml_start(&w, TAG_Settings_Set);
	wbxml_add_clean(&w, TAG_Settings_Password, password, sizeof(password));
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
	check_bytes(&r, EAS_CMD_Settings, 120, &bytes, &limits);
	CHECK_INT(r.rc, 0);
	CHECK_INT(r.root->child->fault, 5);
	CHECK(strstr(r.fault.text, "xx") == NULL);
	arena_free(&r.arena);
	buf_deinit(&bytes);
}

static void test_recipients_and_certificates(void)
{
	static const struct row resolve[] = {
		{25, "ResolveRecipients{To=a To=b Options{CertificateRetrieval=2}}", 0, NULL, 0},
		{25, "ResolveRecipients{Options}", 5, "To is missing", 0},
		{140,
			"ResolveRecipients{To=a Options{Availability{"
			"StartTime=2010-03-01T12:00:00.000Z EndTime=2010-03-01T12:30:00.000Z}}}",
			0, NULL, 0},
		{140,
			"ResolveRecipients{To=a Options{Availability{"
			"StartTime=2010-03-01T12:00:00.000Z EndTime=2010-03-01T12:29:00.000Z}}}",
			5, "shorter", 0},
		{140,
			"ResolveRecipients{To=a Options{Availability{"
			"StartTime=2010-03-01T12:00:00.000Z EndTime=2010-05-01T12:00:00.000Z}}}",
			5, "longer", 0},
		{121, "ResolveRecipients{To=a Options{Availability}}", 5, "version", 0},
		{140, "ResolveRecipients{To=a Options{MaxCertificates=10000}}", 5, "range", 0},
	};
	static const struct row validate[] = {
		{25, "ValidateCert{Certificates{Certificate=AAAA} CheckCRL=1}", 0, NULL, 0},
		{25, "ValidateCert{CertificateChain{Certificate=AAAA}}", 2,
			"Certificates is missing", 0},
		{25, "ValidateCert{Certificates{Certificate=!}}", 2, "base64", 0},
	};

	CHECK_ROWS(ResolveRecipients, resolve);
	CHECK_ROWS(ValidateCert, validate);
}

static void test_limits(void)
{
	check_count(EAS_CMD_Sync, 141, "Sync{Collections{Collection{" KEYS "Commands{",
		"Fetch{ServerId=@} ", "}}}}", 200, 4);
	check_count(EAS_CMD_Sync, 141, "Sync{Collections{", "Collection{SyncKey=1 CollectionId=@} ",
		"}}", 1000, 15);
	check_count(EAS_CMD_Sync, 25, "Sync{Collections{", "Collection{SyncKey=1 CollectionId=@} ",
		"}}", 1000, 4);
	check_count(EAS_CMD_GetItemEstimate, 141, "GetItemEstimate{Collections{",
		"Collection{AirSync:SyncKey=1 CollectionId=@} ", "}}", 1000, 103);
	check_count(EAS_CMD_ItemOperations, 141, "ItemOperations{",
		"Fetch{Store=Mailbox AirSyncBase:FileReference=@} ", "}", 100, 11);
	check_count(EAS_CMD_MoveItems, 141, "MoveItems{", "Move{SrcMsgId=@ SrcFldId=1 DstFldId=2} ",
		"}", 1000, 103);
	check_count(EAS_CMD_MeetingResponse, 141, "MeetingResponse{",
		"Request{UserResponse=1 RequestId=@} ", "}", 100, 103);
	check_count(EAS_CMD_ResolveRecipients, 141, "ResolveRecipients{", "To=@ ", "}", 100, 5);
	check_count(EAS_CMD_ValidateCert, 141, "ValidateCert{Certificates{", "Certificate=AAAA ",
		"}}", 100, 2);
}

static void test_commands_without_a_schema(void)
{
	struct checked r;

	check_text(&r, EAS_CMD_GetAttachment, 121, "Sync");
	CHECK_INT(r.rc, -1);
	CHECK_INT(r.fault.status, 103);
	arena_free(&r.arena);
}

TEST_MAIN(TEST(test_estimate), TEST(test_ping), TEST(test_provision), TEST(test_folders),
	TEST(test_item_operations), TEST(test_mail), TEST(test_meeting_response),
	TEST(test_search_and_find), TEST(test_settings), TEST(test_recipients_and_certificates),
	TEST(test_limits), TEST(test_commands_without_a_schema))
