"""
What the phones of a script do beside Sync: they move, send, and change folders. A phone repeats the same bytes until it has heard what
became of them; nobody may get a mail twice, and no phone hear of a folder twice.
"""

import threading

from eas.http import Closed
from eas.wbxml import E
from lib import mail

FOLDER_COMMANDS = ("FolderCreate", "FolderUpdate", "FolderDelete")


class PhoneCommands:
    """One phone's."""

    def __init__(self, device):
        self.device = device
        self.pending = {}  # kind -> (command, arguments of post, what it is about)
        self.folders = None  # id -> name, once it has asked
        self.heard = set()  # subjects of mails that it knows are sent

    def post(self, command, arguments):
        try:
            answer = self.device.post(command, **arguments)
        except (Closed, OSError):
            self.device.close()
            return None
        return None if answer.code == 503 else answer

    def unheard(self, command, arguments):
        connection = self.device.connect()
        try:
            self.device.send(command, connection=connection, **arguments)
            connection.response()
        except (Closed, OSError):
            pass
        connection.close()

    # Something new to say, or None.

    def new_move(self, phone, pick):
        source, target = pick[0] % 3, (pick[0] + 1 + pick[1] % 2) % 3
        held = sorted(i for i in phone.folders[source].items)
        if not held:
            return None
        item = held[pick[3] % len(held)]
        document = E("Move:MoveItems", E("Move", E("SrcMsgId", item), E("SrcFldId", phone.ids[source]), E("DstFldId", phone.ids[target])))
        return "MoveItems", {"document": document}, item

    def new_send(self, recipient, subject):
        raw = mail.message(subject, to=recipient, sender=self.device.user)
        if not self.device.since("14.0"):
            return "SendMail", {"body": raw, "content_type": "message/rfc822", "params": {"SaveInSent": "T"}}, subject
        document = E("ComposeMail:SendMail", E("ClientId", f"client-{subject}"), E("SaveInSentItems"), E("Mime", raw))
        return "SendMail", {"document": document}, subject

    def new_folder(self, pick, name):
        if self.folders is None or pick[0] % 5 == 0:
            return "FolderSync", {"document": E("FolderHierarchy:FolderSync", E("SyncKey", self.device.hierarchy_key))}, None
        own = sorted(i for i, known in self.folders.items() if known.startswith("n"))
        kind = 0 if not own else (0, 0, 1, 2)[pick[0] % 4]
        chosen = own[pick[1] % len(own)] if own else None
        command = FOLDER_COMMANDS[kind]
        children = [E("SyncKey", self.device.hierarchy_key)]
        if kind > 0:
            children.append(E("ServerId", chosen))
        if kind < 2:
            children += [E("ParentId", "0"), E("DisplayName", name)]
        if kind == 0:
            children.append(E("Type", "12"))
        return command, {"document": E("FolderHierarchy:" + command, *children)}, (chosen, name)

    # What it hears.

    def take(self, command, about, answer):
        if command == "MoveItems":
            assert answer.code == 200, answer
            (status,) = [r.get("Status") for r in answer.document.all("Response")]
            assert status in ("1", "3", "7"), f"{about}: {answer}"
        elif command == "SendMail":
            assert answer.code == 200 and (answer.document is None or answer.status == "118"), answer
            self.heard.add(about)
        else:
            self.take_folders(command, about, answer)

    def take_folders(self, command, about, answer):
        assert answer.code == 200, answer
        if answer.status == "4" and command in FOLDER_COMMANDS[1:]:
            return  # another phone has deleted it
        if answer.status == "9" and self.device.may_restart_folders:
            self.device.hierarchy_key, self.folders = "0", None
            return
        assert answer.status == "1", f"{command} {about}: {answer}"
        self.device.hierarchy_key = answer.document.get("SyncKey")
        if command == "FolderSync":
            self.take_changes(answer)
        elif command == "FolderCreate":
            folder = answer.document.get("ServerId")
            assert folder not in self.folders, f"{folder} is made twice"
            self.folders[folder] = about[1]
        elif command == "FolderUpdate":
            self.folders[about[0]] = about[1]
        else:
            del self.folders[about[0]]

    def take_changes(self, answer):
        self.folders = {} if self.folders is None else self.folders
        for folder in answer.document.all("Changes/Delete"):
            assert folder.get("ServerId") in self.folders, f"deletion of a folder it does not know: {answer}"
            del self.folders[folder.get("ServerId")]
        for folder in answer.document.all("Changes/Add"):
            assert folder.get("ServerId") not in self.folders, f"added twice: {answer}"
            self.folders[folder.get("ServerId")] = folder.get("DisplayName")
        for folder in answer.document.all("Changes/Update"):
            assert folder.get("ServerId") in self.folders, f"an update of a folder it does not know: {answer}"
            self.folders[folder.get("ServerId")] = folder.get("DisplayName")

    def say(self, kind, fate):
        """What is pending of that kind goes out, and its answer comes, by its fate."""
        command, arguments, about = self.pending[kind]
        if fate == "request lost":
            return
        if fate == "answer lost":
            self.unheard(command, arguments)
            return
        other = None
        if fate == "twice":
            other = threading.Thread(target=self.unheard, args=(command, arguments))
            other.start()
        answer = self.post(command, arguments)
        if other:
            other.join()
        if answer is not None:
            del self.pending[kind]
            self.take(command, about, answer)
